//! The real service under more than it can take, and for longer than a moment. Here in short; `make load` and `make soak` take the time
//! that is asked for: a minute of overload, a thousand clients that leave, a quarter of an hour of mixed work. Times are printed, and
//! not required.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod heavy;
mod known;
mod leaving;
mod rate;
mod slow;
mod soak;

use homolog_tests::{process::mib, service::Service};
use tokio::sync::Mutex;

/// Held by each test: alone it has the cores, and its memory and its rate are its own.
static ALONE: Mutex<()> = Mutex::const_new(());

/// How long, or how many: what the environment says, or little.
fn amount(variable: &str, little: u64) -> u64 {
    std::env::var(variable).map_or(little, |text| text.parse().unwrap_or_else(|_| panic!("{variable}: {text}")))
}

/// Memory of a service over time, MiB.
#[derive(Default)]
struct Memory(Vec<f64>);

impl Memory {
    fn look(&mut self, service: &Service) {
        self.0.push(mib(service.process(), "VmRSS"));
    }

    /// Requires that it does not grow: the most of the last third is that of the third before, but for what a heap has in fragments.
    /// The first third is what a service takes once. Returns both, to be printed.
    fn flat(&self) -> String {
        const FRAGMENTS: f64 = 24.0;
        let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
        let third = self.0.len() / 3;
        let (middle, last) = (most(&self.0[third..2 * third]), most(&self.0[2 * third..]));
        assert!(last <= 1.05 * middle + FRAGMENTS, "{middle:.0} MiB have become {last:.0} MiB: {:?}", self.0);
        format!("{:.0} MiB at first, at most {middle:.0} in the second third and {last:.0} in the last", self.0[0])
    }
}

/// The value that stands at this share of the sorted values.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
        .get(((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}
