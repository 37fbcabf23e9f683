//! How a network is adapted to correspondence, whatever computes its gradients:
//!
//! - [`Batch`], [`Batches`]: images and the pairs among them, a function of the seed and the step alone;
//! - [`Parameters`]: the tensors that training changes;
//! - [`data`]: where batches come from: samples of a dataset, the order of an epoch, a cache of frozen tokens;
//! - [`Objective`]: loss and gradients of a batch, and the PCK that decides which parameters are kept;
//! - [`Training`], [`RECIPES`]: the settings of a run, and those that others have published;
//! - [`fit()`]: the loop; [`AdamW`] and [`Schedule`] are its parts;
//! - [`run`]: what a run leaves in its folder.
//!
//! Knows neither ONNX Runtime nor any network.

mod batch;
pub mod config;
pub mod data;
mod error;
mod fit;
mod objective;
pub mod optimiser;
mod parameters;
pub mod run;
mod schedule;

pub use batch::{Batch, BatchPair, Batches, PointPair};
pub use config::{Losses, RECIPES, Recipe, Training};
pub use error::Error;
pub use fit::{Ended, Outcome, fit};
pub use objective::{Gradients, Objective, Validation};
pub use optimiser::AdamW;
pub use parameters::{Parameter, Parameters};
pub use run::{Best, Folder};
pub use schedule::{Position, Schedule};
