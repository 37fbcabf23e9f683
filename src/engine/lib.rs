//! ONNX Runtime for Homolog: the library found at run time, providers, sessions, worker threads and the registry of bundles.
//!
//! - [`library`]: where the shared library is looked for;
//! - [`provider`]: CPU and CUDA, and what `auto` means;
//! - [`plan`]: how a provider is asked to run; [`batch`]: which images are run together;
//! - `session`: one backbone or head, ready to run; [`graph`]: any other;
//! - `queue`: interactive images in a bounded line, background images behind them; `call`: cancellation and preemption;
//! - `costs`: what images took lately;
//! - `worker`: threads that each own their sessions;
//! - [`DescriptorCache`]: descriptors of images that were asked for before;
//! - [`Engine`]: the bundles that are served, each a [`Model`], and `describe`: pixels in, feature map out;
//! - [`EvalEncoder`]: the engine as evaluations see it.
//!
//! Knows nothing about HTTP, keypoints or checkpoints.

pub mod batch;
mod cache;
mod call;
mod costs;
mod engine;
mod error;
mod evaluation;
pub mod library;
mod model;
pub mod plan;
pub mod provider;
mod queue;
mod session;
mod start;
mod worker;

pub use cache::{CacheStatistics, Cached, DescriptorCache, Key};
pub use engine::{Described, Engine, EngineConfig, Priority, Statistics, WhenFull};
pub use error::Error;
pub use evaluation::EvalEncoder;
pub use model::Model;
pub use provider::{Provider, ProviderChoice};
pub use session::graph;

/// Cores that this process may use: `available_parallelism` heeds affinity and the cgroup's limit.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
