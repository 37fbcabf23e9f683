//! Training: graphs whose weights are inputs and whose outputs are gradients, run by ONNX Runtime as everything else is.
//!
//! - [`graph`]: what is trained of a network, its losses and their gradients, emitted;
//! - [`loss`]: the losses;
//! - [`feed`]: a batch as the tensors that the graph takes;
//! - [`step`]: a graph that is run;
//! - [`describe`], [`validate`]: the same network without losses, and its PCK;
//! - [`objective`]: both, as the loop asks for them;
//! - [`proof`]: what a bundle must show before it is finished.

pub mod describe;
pub mod feed;
pub mod graph;
pub mod loss;
pub mod objective;
pub mod proof;
pub mod step;
pub mod validate;
