//! What the loop asks of whoever computes.

use crate::{Batch, Error, Parameters};

/// Loss and gradients of one batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// The weighted sum of the parts.
    pub loss: f64,
    /// Each loss by its name, unweighted.
    pub parts: Vec<(&'static str, f64)>,
    /// In the order and the shapes of the parameters.
    pub gradients: Vec<Vec<f32>>,
}

/// PCK over the validation pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// Thresholds and the PCK at each, per image, 0 to 1.
    pub per_image: Vec<(f64, f64)>,
    /// The same pooled over points.
    pub per_point: Vec<(f64, f64)>,
}

/// A network with a loss.
pub trait Objective {
    /// Loss and gradients of a batch with these parameters. `seed` decides what is dropped out; the same seed gives the same bits.
    ///
    /// # Errors
    /// Whatever the computation meets.
    fn gradients(&mut self, parameters: &Parameters, batch: &Batch, seed: u64) -> Result<Gradients, Error>;

    /// How good these parameters are on pairs that are not trained on.
    ///
    /// # Errors
    /// Whatever the computation meets.
    fn validate(&mut self, parameters: &Parameters) -> Result<Validation, Error>;
}
