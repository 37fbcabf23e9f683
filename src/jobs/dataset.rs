//! The pairs of a job: read, told apart, and cut into shards.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use homolog_core::bundle::hex;
use homolog_eval::dataset::Problem;
use homolog_eval::pck::Threshold;
use homolog_eval::readers::{self, Format, ReadOptions, simple::PairLine};
use homolog_eval::result::PairResult;
use homolog_eval::{Dataset, Error as EvalError};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::{DatasetEntry, Error, Store};

/// More shards than this are of no use to any number of replicas that one would run.
const SHARDS: usize = 64;

/// A dataset that can be evaluated.
#[derive(Debug)]
pub struct Opened {
    /// It.
    pub dataset: Dataset,
    /// The folder that its files lie in.
    pub folder: PathBuf,
    /// The folder that its images lie in for as long as it is used, if they came out of the store.
    _images: Option<TempDir>,
}

impl Opened {
    /// Reads a registered dataset. Blocks.
    ///
    /// # Errors
    /// Those of its reader.
    pub fn registered(entry: &DatasetEntry, options: &ReadOptions) -> Result<Opened, Error> {
        let dataset = readers::read(&entry.path, &entry.format, options)?;
        Ok(Opened { dataset, folder: entry.path.clone(), _images: None })
    }

    /// Lays the images that `pairs` name by their ids into a temporary folder and reads the pairs.
    ///
    /// # Errors
    /// [`Error::UnknownImage`], [`Error::System`], those of the reader and the store.
    pub async fn inline(store: &Store, name: &str, pairs: &[PairLine], options: ReadOptions) -> Result<Opened, Error> {
        let system = |reason| Error::System { what: "a temporary folder for images", reason };
        let folder = tempfile::Builder::new().prefix("homolog-eval-").tempdir().map_err(system)?;
        for id in image_ids(pairs) {
            // an id is looked up before it becomes a name: what is in the store is a digest
            let file = store.image(&id).await?;
            std::fs::write(folder.path().join(&id), file).map_err(system)?;
        }
        let list = folder.path().join("pairs.jsonl");
        let mut file = std::fs::File::create(&list).map_err(system)?;
        for pair in pairs {
            let line = serde_json::to_string(pair).map_err(Error::corrupt("pairs"))?;
            writeln!(file, "{line}").map_err(system)?;
        }
        let format = Format::Simple { list: None };
        let dataset =
            readers::read(folder.path(), &format, &options).map_err(|error| without_folder(error, &folder))?;
        let dataset = Dataset { name: name.to_owned(), ..dataset };
        Ok(Opened { dataset, folder: folder.path().to_owned(), _images: Some(folder) })
    }

    /// Pairs by shard: no two shards share an image, so that no image is encoded twice however many replicas there are. Depends
    /// on the dataset alone.
    pub fn shards(&self) -> Vec<Vec<usize>> {
        let all: Vec<usize> = (0..self.dataset.pairs.len()).collect();
        let enough = self.dataset.images.len().div_ceil(SHARDS);
        let mut shards: Vec<Vec<usize>> = Vec::new();
        let mut images = usize::MAX;
        for group in self.dataset.groups(&all) {
            if images >= enough {
                shards.push(Vec::new());
                images = 0;
            }
            images += self.images(&group).len();
            if let Some(shard) = shards.last_mut() {
                shard.extend(group);
            }
        }
        shards
    }

    /// Images that these pairs use.
    pub fn images(&self, pairs: &[usize]) -> HashSet<usize> {
        pairs
            .iter()
            .filter_map(|pair| self.dataset.pairs.get(*pair))
            .flat_map(|pair| [pair.source, pair.target])
            .collect()
    }

    /// # Errors
    /// [`EvalError::NoThreshold`] for the first pair that lacks the extent which `threshold` is a share of.
    pub fn check_threshold(&self, threshold: Threshold) -> Result<(), Error> {
        for pair in &self.dataset.pairs {
            if PairResult::new(&self.dataset, pair, &[]).extents.of(threshold).is_none() {
                return Err(EvalError::NoThreshold { pair: pair.id.clone(), threshold }.into());
            }
        }
        Ok(())
    }

    /// SHA-256 of everything in it that results depend on, the files of its images apart: their names and sizes count. The same
    /// files give the same digest in whatever folder they lie.
    pub fn digest(&self, entry: &DatasetEntry) -> String {
        let mut hasher = Sha256::new();
        for image in &self.dataset.images {
            let path = image.path.strip_prefix(&entry.path).unwrap_or(&image.path);
            hasher.update(format!("{} {:?}\n", path.display(), image.size));
        }
        for pair in &self.dataset.pairs {
            hasher.update(format!("{pair:?}\n"));
        }
        hex(&hasher.finalize())
    }
}

/// Ids of the images of inline pairs, each once, in the order in which they appear.
pub fn image_ids(pairs: &[PairLine]) -> Vec<String> {
    let mut seen = HashSet::new();
    let names = pairs.iter().flat_map(|pair| [&pair.source, &pair.target]);
    names.filter(|id| seen.insert(id.as_str())).cloned().collect()
}

/// The folder's name is of no use to whoever sent the pairs.
fn without_folder(error: EvalError, folder: &TempDir) -> Error {
    let mut error = error;
    match &mut error {
        EvalError::Strict { first, .. } => strip(first, folder),
        EvalError::Empty { path, first, .. } => {
            *path = "pairs".into();
            if let Some(first) = first {
                strip(first, folder);
            }
        }
        _ => {}
    }
    Error::Pairs(error)
}

fn strip(problem: &mut Problem, folder: &TempDir) {
    problem.file = match problem.file.strip_prefix(folder.path()) {
        Ok(path) if path == Path::new("pairs.jsonl") => "pairs".into(),
        Ok(path) => path.to_owned(),
        Err(_) => return,
    };
}
