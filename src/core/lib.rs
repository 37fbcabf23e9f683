//! Geometry, images, feature maps and matching: the part of Homolog that is a function of its arguments.
//!
//! Knows nothing about time, threads, the network or how a model is run; only [`bundle`] reads files. Every other result
//! depends on the arguments alone, bit for bit.
//! [`geometry`] is the only place that knows the half-pixel convention; [`image`] the only one that decodes.

pub mod bundle;
pub mod error;
pub mod features;
pub mod geometry;
pub mod image;
pub mod matching;

pub use error::Error;
