//! What one step is computed from.

use crate::Error;
use homolog_core::geometry::{Grid, Point};

/// A few images and the pairs among them. Images that several pairs use are there once: the network runs once over each, and its
/// gradient is that of all its pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// How many images there are.
    pub images: usize,
    /// What the network takes of each, `[images, …]`, row-major: tokens of the frozen blocks `[tokens, width]`, or pixels
    /// `[3, height, width]`.
    pub inputs: Vec<f32>,
    /// Rows and columns of tokens, the same for every image.
    pub grid: Grid,
    /// At least one.
    pub pairs: Vec<BatchPair>,
    /// What each token shows, `[images, tokens]`, for losses that ask for it: a number below the data's classes, or nothing where
    /// it is not known. Empty where nothing is.
    pub classes: Vec<Option<u32>>,
}

/// Two images of a batch and the points that both show.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchPair {
    /// Index of the source in the batch.
    pub source: usize,
    /// Index of the target in the batch.
    pub target: usize,
    /// At least one.
    pub points: Vec<PointPair>,
    /// The pair's share of the batch's loss; the shares of a batch add up to one. A pair's points share it evenly.
    pub weight: f32,
}

/// The same part in both images, in token units (a token's centre is at + 0.5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointPair {
    /// In the source.
    pub source: Point,
    /// In the target.
    pub target: Point,
}

/// The batches of a run. What a step sees depends on the seed and the step alone, so that a run goes on after a kill as if nothing
/// had been.
pub trait Batches: Send + Sync {
    /// Steps of one pass over the pairs.
    fn steps_per_epoch(&self) -> u64;

    /// The micro-batches of step `step` (from 0), whose gradients are added up weighted evenly.
    ///
    /// # Errors
    /// Whatever reading the inputs meets.
    fn batch(&self, step: u64) -> Result<Vec<Batch>, Error>;
}
