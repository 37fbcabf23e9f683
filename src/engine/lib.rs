//! ONNX Runtime for Homolog: the library found at run time, providers, sessions, worker threads and the registry of bundles.
//!
//! - [`library`]: where the shared library is looked for;
//! - [`provider`]: CPU and CUDA, and what `auto` means;
//! - `session`: one backbone or head, ready to run;
//! - `worker`: threads that each own their sessions, a bounded queue, cancellation;
//! - [`Engine`]: the bundles that are served, and `describe`: pixels in, feature map out.
//!
//! Knows nothing about HTTP, keypoints or checkpoints.

mod engine;
mod error;
pub mod library;
pub mod provider;
mod session;
mod worker;

pub use engine::{Described, Engine, EngineConfig, Model, WhenFull};
pub use error::Error;
pub use provider::{Provider, ProviderChoice};
