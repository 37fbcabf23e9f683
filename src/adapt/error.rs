//! What can go wrong, each with the sentence that the user reads.

use std::path::{Path, PathBuf};

/// Errors of adaptation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting that cannot be.
    #[error("{field}: {reason}")]
    Setting {
        /// The setting, by its name in the configuration.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A cache of tokens that has no room, or not what is asked of it.
    #[error("{folder}: {reason}")]
    Cache {
        /// Its folder.
        folder: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Annotations that contradict each other.
    #[error("{image}: {reason}")]
    Annotations {
        /// The image.
        image: PathBuf,
        /// What they say.
        reason: String,
    },
    /// Whoever computes has failed.
    #[error(transparent)]
    Compute(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps an error of the file system with the path it happened at.
    pub fn file(path: &Path) -> impl Fn(std::io::Error) -> Error {
        move |error| Error::File { path: path.into(), reason: error.to_string() }
    }
}
