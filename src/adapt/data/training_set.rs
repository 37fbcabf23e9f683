//! Batches with what the network takes of their images.

use std::path::Path;

use super::{Order, Plan};
use crate::{Batch, Batches, Error};

/// What a network takes of an image: tokens of its frozen blocks, or pixels.
pub trait Inputs: Send + Sync {
    /// How many numbers that is, the same for every image.
    fn numbers(&self) -> usize;

    /// Writes them, `numbers` of them, of an image as it lies or mirrored.
    ///
    /// # Errors
    /// Whatever reading meets.
    fn read(&self, image: &Path, flipped: bool, into: &mut [f32]) -> Result<(), Error>;
}

/// A dataset to train on: the order of its pairs, and the inputs of its images.
#[derive(Debug)]
pub struct TrainingSet<I> {
    order: Order,
    inputs: I,
}

impl<I: Inputs> TrainingSet<I> {
    /// Batches in this order with these inputs, which must have every view of the order's samples (flipped ones only if it flips).
    pub fn new(order: Order, inputs: I) -> TrainingSet<I> {
        TrainingSet { order, inputs }
    }

    /// The order of its pairs.
    pub fn order(&self) -> &Order {
        &self.order
    }

    fn load(&self, Plan { views, pairs, .. }: Plan) -> Result<Batch, Error> {
        let (samples, numbers) = (self.order.samples(), self.inputs.numbers());
        let mut inputs = vec![0.0; views.len() * numbers];
        for (view, into) in views.iter().zip(inputs.chunks_mut(numbers.max(1))) {
            self.inputs.read(samples.path(view.image), view.flipped, into)?;
        }
        Ok(Batch { images: views.len(), inputs, grid: samples.grid(), pairs, classes: Vec::new() })
    }
}

impl<I: Inputs> Batches for TrainingSet<I> {
    fn steps_per_epoch(&self) -> u64 {
        self.order.steps_per_epoch()
    }

    fn batch(&self, step: u64) -> Result<Vec<Batch>, Error> {
        self.order.step(step).into_iter().map(|plan| self.load(plan)).collect()
    }
}
