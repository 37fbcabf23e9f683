//! The offline side of Homolog: makes and checks the bundles that the service loads.

pub mod adapt;
pub mod add;
pub mod debias;
pub mod download;
pub mod export;
pub mod networks;
pub mod pretrain;
mod progress;
pub mod pull;
pub mod synth;
pub mod training;
pub mod verify;

use std::path::{Path, PathBuf};

/// Errors of this program, each with the sentence that the user reads.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Of adaptation.
    #[error(transparent)]
    Adapt(#[from] homolog_adapt::Error),
    /// Of the backbone crate.
    #[error(transparent)]
    Backbone(#[from] homolog_backbone::Error),
    /// Of the core crate.
    #[error(transparent)]
    Core(#[from] homolog_core::Error),
    /// Of the engine.
    #[error(transparent)]
    Engine(#[from] homolog_engine::Error),
    /// Of the evaluation crate.
    #[error(transparent)]
    Eval(#[from] homolog_eval::Error),
    /// Of the synthetic benchmark.
    #[error(transparent)]
    Synth(#[from] homolog_synth::Error),
    /// A file that cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The owner of the weights wants to be asked.
    #[error(
        "the weights of {network} are gated: ask for them at {ask}, then run homolog-train add {network} --weights FILE (or export)"
    )]
    Gated {
        /// The network.
        network: String,
        /// The pages to ask at.
        ask: String,
    },
    /// A network without official weights.
    #[error(
        "{network} has no official weights to download: homolog-train pretrain trains it, and --url fetches a file of yours"
    )]
    NoWeights {
        /// The network.
        network: String,
    },
    /// Nowhere to keep what is downloaded.
    #[error("the user has no home folder to keep weights in: name a folder by --cache or HOMOLOG_CACHE")]
    NoCache,
    /// The address is none, or leads nowhere.
    #[error("{url} cannot be fetched: {reason}")]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server refused, and would refuse again.
    #[error("{url} cannot be fetched: the server answered {status}")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// There would be no telling whether the file came whole.
    #[error("{url} cannot be fetched: the server does not say how long it is, and no sha256 of it is known")]
    NoLength {
        /// The address.
        url: String,
    },
    /// The connection failed too often.
    #[error("{url} did not come (attempt {attempts}): {reason}{}", left(*.kept))]
    Broken {
        /// The address.
        url: String,
        /// Attempts since the last byte that came.
        attempts: u32,
        /// Why the last one failed.
        reason: String,
        /// Bytes that are there.
        kept: u64,
    },
    /// The file that came is another one.
    #[error("{url} has the sha256 {found} where {expected} is known: it is not the official file, and was removed")]
    Digest {
        /// The address.
        url: String,
        /// The catalogue's digest.
        expected: String,
        /// The file's.
        found: String,
    },
    /// Two processes, one file.
    #[error("{path} is being fetched by another process")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Something verified is not as it must be.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// Wraps an error of the file system with the path it happened at.
    fn file(path: &Path) -> impl Fn(std::io::Error) -> Error {
        move |error| Error::File { path: path.into(), reason: error.to_string() }
    }
}

fn left(bytes: u64) -> String {
    if bytes == 0 {
        return String::new();
    }
    format!(". What came is kept ({}); the same command goes on from there", progress::megabytes(bytes))
}
