//! ONNX Runtime for Homolog: the library found at run time, providers, sessions, worker threads and the registry of bundles.
//!
//! - [`library`]: where the shared library is looked for;
//! - [`provider`]: CPU and CUDA, and what `auto` means;
//! - `session`: one backbone or head, ready to run; [`graph`]: any other;
//! - `queue`: interactive images in a bounded line, background images behind them; `call`: cancellation and preemption;
//! - `worker`: threads that each own their sessions;
//! - [`Engine`]: the bundles that are served, and `describe`: pixels in, feature map out;
//! - [`EvalEncoder`]: the engine as evaluations see it.
//!
//! Knows nothing about HTTP, keypoints or checkpoints.

mod call;
mod engine;
mod error;
mod evaluation;
pub mod library;
pub mod provider;
mod queue;
mod session;
mod worker;

pub use engine::{Described, Engine, EngineConfig, Model, Priority, Statistics, WhenFull};
pub use error::Error;
pub use evaluation::EvalEncoder;
pub use provider::{Provider, ProviderChoice};
pub use session::graph;
