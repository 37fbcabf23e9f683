//! What can go wrong between a checkpoint file and a bundle folder.

use std::path::PathBuf;

/// Errors of this crate; every variant is a sentence that names the file or the tensor.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is neither a `.pth` archive nor a `.safetensors` file (or its index).
    #[error(
        "{path} is not a checkpoint this program reads: {reason}. It reads PyTorch archives (.pth, .pt; zip since PyTorch 1.6) and \
         .safetensors files, one or sharded (by their model.safetensors.index.json)"
    )]
    NotACheckpoint {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// The archive's pickle is damaged or uses something outside the subset that tensors need.
    #[error("the pickle in {path} cannot be read: {reason}")]
    Pickle {
        /// The archive.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A tensor's data is damaged or of a type that is no float.
    #[error("tensor {name} cannot be read: {reason}")]
    Tensor {
        /// The tensor's name in the checkpoint.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// What cannot be differentiated.
    #[error("{what} has no gradient: {reason}")]
    Gradient {
        /// The value or the operator.
        what: String,
        /// Why.
        reason: String,
    },
    /// A weight that the network uses is not a finite number.
    #[error("tensor {name} holds {value}: the checkpoint is damaged, or its training diverged")]
    NotFinite {
        /// The tensor's name in the checkpoint.
        name: String,
        /// The first such value.
        value: f32,
    },
    /// The tensors are not those of the network asked for. Every difference is listed.
    #[error("the checkpoint does not hold {network}:{}", list(.missing, .extra, .misshapen))]
    Mismatch {
        /// The network asked for.
        network: String,
        /// Tensors the network has and the checkpoint has not.
        missing: Vec<String>,
        /// Tensors the checkpoint has and the network has not.
        extra: Vec<String>,
        /// Tensors of another shape: name, found and wanted.
        misshapen: Vec<String>,
    },
    /// None of the known namings fits.
    #[error(
        "the checkpoint does not use a naming known for {network}: it has neither {tried}. Its first tensors are {found}"
    )]
    UnknownNaming {
        /// The network asked for.
        network: String,
        /// The tensor names that tell the namings apart.
        tried: String,
        /// The first names found.
        found: String,
    },
    /// No network of that name in the catalogue.
    #[error("no network is called {name}; known are {known}")]
    UnknownNetwork {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// An export option that the network does not allow.
    #[error("{field}: {reason}")]
    Option {
        /// The option.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder to write is already there.
    #[error("{0} is already there: remove it or name another folder")]
    Exists(PathBuf),
    /// The manifest made for the bundle is refused by the rules that the service applies.
    #[error(transparent)]
    Core(#[from] homolog_core::Error),
}

impl Error {
    /// Wraps an error of the file system with the path it happened at.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { path, source }
    }
}

/// Lists the differences, one a line, so that a renamed prefix is seen at a glance.
fn list(missing: &[String], extra: &[String], misshapen: &[String]) -> String {
    let lines =
        |what: &str, names: &[String]| names.iter().map(|name| format!("\n  {what} {name}")).collect::<String>();
    lines("missing:", missing) + &lines("not expected:", extra) + &lines("another shape:", misshapen)
}
