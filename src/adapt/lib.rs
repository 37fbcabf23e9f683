//! How a network is adapted to correspondence, whatever computes its gradients:
//!
//! - [`Batch`], [`Batches`]: images and the pairs among them, a function of the seed and the step alone;
//! - [`Parameters`]: the tensors that training changes;
//! - [`data`]: where batches come from: samples of a dataset, the order of an epoch, a cache of frozen tokens;
//! - [`Objective`]: loss and gradients of a batch, and the PCK that decides which parameters are kept.
//!
//! Knows neither ONNX Runtime nor any network.

mod batch;
pub mod data;
mod error;
mod objective;
mod parameters;

pub use batch::{Batch, BatchPair, Batches, PointPair};
pub use error::Error;
pub use objective::{Gradients, Objective, Validation};
pub use parameters::{Parameter, Parameters};
