//! What was found, as text.

use super::{Absent, Agreement, Report, Row};
use std::fmt;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.rows.iter().map(|row| row.bundle.len()).max().unwrap_or_default().max("bundle".len());
        writeln!(
            f,
            "{:id$}  {:12}  {:>7}  {:8}  {:>9}  {:>8}  {:>8}  {:>11}  {:>10}  {:>8}",
            "bundle", "precision", "MB", "provider", "input", "ms", "error", "mean cosine", "min cosine", "peak MiB"
        )?;
        for row in &self.rows {
            let Row { bundle, provider, milliseconds, .. } = row;
            let (precision, megabytes) = (row.precision.to_string(), row.bytes as f64 / 1e6);
            let size = format!("{}×{}", row.width, row.height);
            let error = or_dash(row.relative_error, |error| format!("{error:.1e}"));
            let [mean, min] =
                [row.cosine_mean, row.cosine_min].map(|value| or_dash(value, |value| format!("{value:.6}")));
            let peak = or_dash(row.peak_rss_mib, |mib| mib.to_string());
            let provider = provider.to_string();
            writeln!(
                f,
                "{bundle:id$}  {precision:12}  {megabytes:>7.1}  {provider:8}  {size:>9}  {milliseconds:>8.1}  {error:>8}  \
                 {mean:>11}  {min:>10}  {peak:>8}"
            )?;
        }
        if let Some(against) = &self.against {
            writeln!(f, "error and cosines are against {against}")?;
        }
        for Absent { provider, reason } in &self.absent {
            writeln!(
                f,
                "not run on {provider}, which cannot be had here: {}",
                reason.lines().next().unwrap_or_default()
            )?;
        }
        if let Some(agreement) = &self.agreement {
            write!(f, "{agreement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let Agreement { pairs, points, resolution, provider, .. } = self;
        writeln!(f, "PF-WILLOW, {pairs} pairs, {points} points, at {resolution}, on {provider}, argmax:")?;
        writeln!(f, "  same token      {:>8}", percent(self.same_token))?;
        writeln!(f, "  within a patch  {:>8}", percent(self.within_a_patch))?;
        for pck in &self.pck {
            writeln!(f, "  per-point PCK@0.10 {}: {}", pck.bundle, percent(pck.per_point))?;
        }
        Ok(())
    }
}

fn or_dash<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "-".into(), show)
}
