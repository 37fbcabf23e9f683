//! What can go wrong between a bundle on disk and its descriptors.

use std::path::PathBuf;

/// Errors of this crate; every variant is a sentence that a user can act on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// ONNX Runtime's library is in none of the places.
    #[error("ONNX Runtime's library was not found: run `make setup`, or set ORT_DYLIB_PATH to it. Looked at: {}", show(.looked))]
    LibraryNotFound {
        /// The places, in the order they were looked at.
        looked: Vec<PathBuf>,
    },
    /// The library is there and does not load.
    #[error("ONNX Runtime's library {path} does not load: {reason}")]
    Library {
        /// The file.
        path: PathBuf,
        /// What the loader or ONNX Runtime said.
        reason: String,
    },
    /// CUDA was asked for and cannot be had.
    #[error(
        "the provider cuda was asked for and cannot be had: {reason}. It needs the CUDA build of ONNX Runtime \
         (`CUDA=1 make setup`), CUDA 13 and cuDNN 9; provider = \"auto\" falls back to the CPU"
    )]
    CudaUnavailable {
        /// What ONNX Runtime said.
        reason: String,
    },
    /// A graph does not load.
    #[error("the model {model} does not load: {path}: {reason}")]
    Load {
        /// The bundle's id.
        model: String,
        /// The graph.
        path: PathBuf,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// As many images wait as may wait.
    #[error("{waiting} images wait already; try again in a moment")]
    QueueFull {
        /// How many wait.
        waiting: usize,
    },
    /// There was nothing to load.
    #[error("no bundle was given")]
    NoBundle,
    /// The engine was shut down while the image waited.
    #[error("the engine is shutting down")]
    Stopped,
    /// A run failed, or its outputs are not what the bundle promises.
    #[error("the model {model} failed: {reason}")]
    Run {
        /// The bundle's id.
        model: String,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// A side that a model does not offer.
    #[error("{resolution} is not offered by {model}; choose one of {}", list(.offered))]
    Resolution {
        /// The bundle's id.
        model: String,
        /// What was asked for, px.
        resolution: u32,
        /// What it offers, px.
        offered: Vec<u32>,
    },
    /// Two bundles of one name.
    #[error("two bundles are called {0}")]
    SameName(String),
}

fn show(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn list(sides: &[u32]) -> String {
    sides.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}
