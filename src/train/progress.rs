//! Progress bars on standard error; where that is no terminal, none.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for a download: how much of it, how fast, how long still.
pub fn bytes() -> ProgressBar {
    bar("{decimal_bytes} of {decimal_total_bytes} {wide_bar} {decimal_bytes_per_sec}, {eta} left")
}

/// A bar for an export: weights written, of how many, and of which part.
pub fn weights() -> ProgressBar {
    bar("{pos} of {len} weights {wide_bar} {msg}")
}

/// A bar for pairs that are matched by the model called `name`.
pub fn pairs(count: usize, name: &str) -> ProgressBar {
    let bar = bar("{pos} of {len} pairs {wide_bar} {msg}");
    bar.set_length(count as u64);
    bar.set_message(name.to_owned());
    bar
}

/// A bar for images that are drawn.
pub fn images() -> ProgressBar {
    bar("{pos} of {len} images {wide_bar} {per_sec}, {eta} left")
}

/// Runs what prepares views of images, with a bar of them.
pub fn views<T, E>(work: impl FnOnce(&(dyn Fn(homolog_adapt::data::Progress) + Sync)) -> Result<T, E>) -> Result<T, E> {
    let bar = bar("{pos} of {len} views by the frozen blocks {wide_bar} {per_sec}, {eta} left");
    let done = work(&|progress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
    });
    bar.finish_and_clear();
    done
}

fn bar(template: &str) -> ProgressBar {
    // A template that did not parse would show indicatif's own style.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

/// A length for a person: `346.4 MB`.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
