//! The offline side of Homolog: makes and checks the bundles that the service loads.

pub mod debias;
pub mod export;
pub mod verify;

/// Errors of this program, each with the sentence that the user reads.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Of the backbone crate.
    #[error(transparent)]
    Backbone(#[from] homolog_backbone::Error),
    /// Of the core crate.
    #[error(transparent)]
    Core(#[from] homolog_core::Error),
    /// Of the engine.
    #[error(transparent)]
    Engine(#[from] homolog_engine::Error),
    /// A file that cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Something verified is not as it must be.
    #[error("{0}")]
    Failed(String),
}
