//! Where batches come from: a dataset's [`Samples`], the [`Order`] of its pairs, a [`TokenCache`] of what the frozen blocks make of
//! its images, all three as a [`TrainingSet`], and the [`targets`] that a loss makes of points.

mod order;
pub mod random;
mod samples;
pub mod targets;
mod tokens;
mod training_set;

pub use order::{Order, OrderSettings, Passes, Plan};
pub use samples::{Samples, View};
pub use tokens::{
    CacheSettings, Cost, Notice, Prepared, Progress, TokenCache, TokenSource, TokenSpec, Tokens, free_space,
};
pub use training_set::{Inputs, TrainingSet};
