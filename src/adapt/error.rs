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
    /// A run folder holds a run, and none was to go on.
    #[error("{} holds a run already; --resume goes on with it, another folder begins a new one", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A run folder is another process's.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A run folder holds a run with other settings.
    #[error("{} is of another run: it has {theirs}, this run has {ours}; take those settings, or another folder", path.display())]
    OtherRun {
        /// The folder's configuration.
        path: PathBuf,
        /// The first line that differs.
        theirs: String,
        /// The same of this run.
        ours: String,
    },
    /// A checkpoint from which nothing can go on.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why it cannot, and what to do.
        reason: String,
    },
    /// Gradients that do not fit the parameters.
    #[error("the gradient of {name} has {found} values where the parameter has {expected}")]
    Gradient {
        /// The parameter.
        name: String,
        /// Its length.
        expected: usize,
        /// The gradient's.
        found: usize,
    },
    /// Training has left the numbers.
    #[error(
        "step {step}: {what} is not finite; the run has stopped, its last checkpoint is from before. A lower learning rate, a longer \
         warm-up or clip_norm may help"
    )]
    NotFinite {
        /// The step, from 0.
        step: u64,
        /// What it is that is not finite.
        what: String,
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
