//! What PCK does not show: how far off predictions are, what they are mistaken for, and whether the confidence knows.

pub mod confusion;
pub mod errors;
pub mod reliability;

pub use confusion::{Confusion, ConfusionRow};
pub use errors::{ErrorBin, Errors};
pub use reliability::{Reliability, ReliabilityBin};
