//! Backbone families of Homolog: their sizes, the reading of official checkpoints, and the emission of `backbone.onnx` and
//! `head.onnx` with ONNX Runtime's fast operators.
//!
//! - [`catalog`]: the networks known by name, one entry each;
//! - [`checkpoint`]: `.pth` and `.safetensors` files as named tensors, nothing in them executed;
//! - [`Family`]: what a family can do; [`dinov2`], [`dinov3`], [`sam`]: its sizes, the names its tensors go by, its graph;
//! - [`onnx`]: a writer of ONNX files with weights as external data;
//! - [`Adapter`]: a small trained network over a frozen network's descriptors; [`PositionBasis`]: what tells places apart
//!   rather than parts, taken out of descriptors;
//! - [`Quantised`]: products of 8-bit integers;
//! - [`Trained`], [`gradients`]: graphs whose weights are inputs, and the gradients of what they give;
//! - [`Lora`], [`peft`]: low-rank matrices, merged and in files of their own;
//! - [`unpack()`]: a bundle's weights as a checkpoint again;
//! - [`export`]: checkpoint in, bundle folder out;
//! - [`random`]: checkpoints of random weights, for the demo bundle and for tests.
//!
//! This crate knows nothing about ONNX Runtime's library, HTTP or training: it writes files.

mod adapter;
pub mod catalog;
pub mod checkpoint;
mod debias;
pub mod dinov2;
pub mod dinov3;
mod emit;
mod error;
pub mod export;
mod family;
mod gradient;
mod lora;
pub mod onnx;
pub mod peft;
mod quantise;
pub mod random;
mod resample;
pub mod sam;
mod tokens;
mod trained;
mod unpack;
mod weights;

pub use adapter::{Adapter, PUBLIC_ADAPTERS, PublicAdapter};
pub use debias::PositionBasis;
pub use error::Error;
pub use family::{Family, Mlp};
pub use gradient::gradients;
pub use lora::{Lora, dropout_name, lora_names};
pub use quantise::Quantised;
pub use trained::Trained;
pub use unpack::unpack;
pub use weights::{Source, Weights};
