//! What an evaluation is of, with every default filled in: what is kept of a request, and what a resumed job goes by.

use homolog_core::bundle::hex;
use homolog_core::matching;
use homolog_eval::document::Model;
use homolog_eval::pck;
use homolog_eval::readers::{Format, simple::PairLine};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use utoipa::ToSchema;

/// An evaluation, complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Specification {
    /// The pairs.
    pub source: Source,
    /// What they are run through, at least one.
    pub runs: Vec<RunSpec>,
    /// How PCK is measured.
    pub pck: pck::Settings,
    /// The program that began it. Another version may round otherwise, so that a job is finished by the version that began it.
    pub code: String,
}

/// Where pairs come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// A dataset that the service's operator registered.
    Registered {
        /// Its key.
        name: String,
        /// [`Opened::digest`](crate::dataset::Opened::digest) of what was read.
        digest: String,
    },
    /// Pairs that came with the request; `source` and `target` are ids of uploaded images.
    Inline {
        /// What the request calls them.
        name: String,
        /// The pairs.
        pairs: Vec<PairLine>,
    },
}

/// A dataset as it is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatasetEntry {
    /// Its folder.
    #[schema(value_type = String)]
    pub path: PathBuf,
    /// Its format, and the part of it that is evaluated.
    #[serde(flatten)]
    pub format: Format,
}

/// A bundle at a resolution, and the way to match with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunSpec {
    /// The bundle's id.
    pub model: String,
    /// [`Bundle::digest`](homolog_core::bundle::Bundle::digest) of what is loaded under that id.
    pub digest: String,
    /// What its manifest says of it.
    pub description: String,
    /// Side of the network's input, px.
    pub resolution: u32,
    /// How maps are matched.
    pub matching: matching::Settings,
}

impl Specification {
    /// SHA-256 of what is asked for, in hexadecimal: equal specifications are the same evaluation.
    pub fn digest(&self) -> String {
        // `Debug` of plain data cannot fail where a serialiser's signature says that it might
        hex(&Sha256::digest(format!("{self:?}").as_bytes()))
    }

    /// What the pairs are called.
    pub fn dataset_name(&self) -> &str {
        match &self.source {
            Source::Registered { name, .. } | Source::Inline { name, .. } => name,
        }
    }
}

impl RunSpec {
    /// The model as documents have it.
    pub fn evaluated(&self) -> Model {
        Model {
            id: self.model.clone(),
            digest: self.digest.clone(),
            description: self.description.clone(),
            resolution: self.resolution,
        }
    }

    /// A name that tells it from other runs.
    pub fn name(&self) -> String {
        self.evaluated().run_name(&self.matching)
    }
}

/// The program's version, with the commit it was built from where that is known.
pub fn code_version() -> String {
    match option_env!("HOMOLOG_COMMIT") {
        Some(commit) => format!("{}+{commit}", env!("CARGO_PKG_VERSION")),
        None => env!("CARGO_PKG_VERSION").to_owned(),
    }
}
