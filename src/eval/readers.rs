//! From a benchmark's files to a [`Dataset`], one reader a file.
//!
//! A reader checks everything that it reads. What is wrong with a pair, with one of its files or images, is a
//! [`Problem`](crate::dataset::Problem) that names file and field, and the pair is left out; what is wrong with the list of pairs
//! itself is an error, since nothing would be left.

pub mod ap10k;
mod format;
pub mod pf_pascal;
pub mod pf_willow;
pub mod simple;
pub mod spair71k;

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::dataset::Fault;
use crate::{Dataset, Error};

/// How strictly a dataset is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Whether a single problem is an error.
    pub strict: bool,
    /// Whether every image must be there. Without it, an image is missed when it is encoded.
    pub check_images: bool,
}

impl Default for ReadOptions {
    fn default() -> ReadOptions {
        ReadOptions { strict: false, check_images: true }
    }
}

/// A benchmark and the part of it that is evaluated, as it is written in a configuration: `{"format": "spair71k", "split":
/// "test"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DatasetFormat))]
#[serde(tag = "format", rename_all = "snake_case", deny_unknown_fields)]
pub enum Format {
    /// SPair-71k, official layout.
    #[serde(rename = "spair71k")]
    Spair71k {
        /// Which list of pairs.
        #[serde(default)]
        layout: spair71k::Layout,
        /// Which part.
        #[serde(default)]
        split: Split,
    },
    /// PF-WILLOW with its list of pairs.
    PfWillow {
        /// The list, relative to the dataset's folder; `test_pairs.csv` if none is named, or the only file of that kind.
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        list: Option<PathBuf>,
    },
    /// PF-PASCAL with its list of pairs.
    PfPascal {
        /// The list, relative to the dataset's folder; `test_pairs_pf_pascal.csv` if none is named, or the only file of that kind.
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        list: Option<PathBuf>,
    },
    /// AP-10K as GeoAware-SC prepares it.
    #[serde(rename = "ap10k")]
    Ap10k {
        /// Which pairs.
        #[serde(default)]
        set: ap10k::Set,
        /// Which part.
        #[serde(default)]
        split: Split,
    },
    /// Homolog's own: JSON lines.
    Simple {
        /// The list, relative to the dataset's folder; `pairs.jsonl` if none is named, or the only file of that kind.
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        list: Option<PathBuf>,
    },
}

/// Reads the dataset in this folder.
///
/// # Errors
/// Those of its reader: [`Error::Io`], [`Error::Format`], [`Error::ColonReplaced`], [`Error::Empty`], [`Error::Strict`].
pub fn read(folder: &Path, format: &Format, options: &ReadOptions) -> Result<Dataset, Error> {
    let at = |list: &Option<PathBuf>, default: &str| match list {
        Some(list) => folder.join(list),
        None => usual_list(folder, default),
    };
    match format {
        Format::Spair71k { layout, split } => spair71k::read(folder, *layout, *split, options),
        Format::PfWillow { list } => pf_willow::read(folder, &at(list, "test_pairs.csv"), options),
        Format::PfPascal { list } => pf_pascal::read(folder, &at(list, "test_pairs_pf_pascal.csv"), options),
        Format::Ap10k { set, split } => ap10k::read(folder, *set, *split, options),
        Format::Simple { list } => simple::read(&at(list, "pairs.jsonl"), options),
    }
}

/// Part of a benchmark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// For training.
    Trn,
    /// For choosing settings.
    Val,
    /// For the numbers of a paper.
    #[default]
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Split::Trn => "trn",
            Split::Val => "val",
            Split::Test => "test",
        })
    }
}

impl FromStr for Split {
    type Err = Error;

    fn from_str(text: &str) -> Result<Split, Error> {
        match text {
            "trn" => Ok(Split::Trn),
            "val" => Ok(Split::Val),
            "test" => Ok(Split::Test),
            _ => Err(Error::UnknownChoice { what: "split", found: text.to_owned(), choices: "trn, val, test" }),
        }
    }
}

/// The list of a dataset that names none: the usual one or, where that is not there, the only file of its kind.
fn usual_list(folder: &Path, usual: &str) -> PathBuf {
    let path = folder.join(usual);
    if path.is_file() {
        return path;
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut alike = entries.filter(|entry| entry.extension() == path.extension() && entry.is_file());
    match (alike.next(), alike.next()) {
        (Some(only), None) => only,
        _ => path,
    }
}

/// Bytes of a file that everything else hangs on.
fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })
}

/// Says which field of a JSON text is wrong: read a second time, since keeping track of fields costs time.
fn json_fault<T: DeserializeOwned>(file: &Path, text: &[u8]) -> Fault {
    let mut json = serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Err(error) => {
            // "." is the whole text, "?" a place before any field is known
            let field = Some(error.path().to_string()).filter(|path| path != "." && path != "?");
            Fault::new(crate::dataset::ProblemKind::Malformed, file, field, error.inner().to_string())
        }
        Ok(_) => Fault::new(
            crate::dataset::ProblemKind::Malformed,
            file,
            None,
            json.end().err().map_or_else(|| "something is wrong with it".to_owned(), |error| error.to_string()),
        ),
    }
}

/// A list's image path in a dataset's folder. Lists begin their paths with the folder that the dataset had on its authors' disk
/// (`PF-dataset/…`), which is called otherwise here or left out: `names` are the names it may have.
fn image_path(folder: &Path, listed: &str, names: &[&str]) -> PathBuf {
    let listed = Path::new(listed);
    let mut parts = listed.components();
    let rest = match parts.next() {
        Some(Component::Normal(first)) if names.iter().any(|name| first == *name) => parts.as_path(),
        _ => listed,
    };
    let places = names.iter().map(|name| folder.join(name).join(rest)).chain([folder.join(rest)]);
    // where it is nowhere, the path as listed is what a user looks for
    places.into_iter().find(|path| path.is_file()).unwrap_or_else(|| folder.join(listed))
}
