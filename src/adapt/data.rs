//! Where batches come from: a dataset's [`Samples`], the [`Order`] of its pairs, and the [`targets`] that a loss makes of their points.

mod order;
pub mod random;
mod samples;
pub mod targets;

pub use order::{Order, OrderSettings, Passes, Plan};
pub use samples::{Samples, View};
