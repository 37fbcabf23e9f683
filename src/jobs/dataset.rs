//! The pairs of a job: read, told apart, and cut into shards.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use homolog_core::bundle::hex;
use homolog_eval::pck::Threshold;
use homolog_eval::readers::{self, Format, ReadOptions, simple::PairLine};
use homolog_eval::result::PairResult;
use homolog_eval::{Dataset, Error as EvalError};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::jobs::blocking;
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
    /// Those of its reader; they name files relative to the dataset's folder, which is nobody's business outside.
    pub fn registered(entry: &DatasetEntry, options: &ReadOptions) -> Result<Opened, Error> {
        let dataset = readers::read(&entry.path, &entry.format, options);
        let dataset = dataset.map_err(|error| without_folder(error, &entry.path))?;
        Ok(Opened { dataset, folder: entry.path.clone(), _images: None })
    }

    /// Lays the images that `pairs` name by their ids into a temporary folder and reads the pairs.
    ///
    /// # Errors
    /// [`Error::UnknownImage`], [`Error::System`], [`Error::Pairs`] and those of the store.
    pub async fn inline(store: &Store, name: &str, pairs: &[PairLine], options: ReadOptions) -> Result<Opened, Error> {
        let system = |reason| Error::System { what: "a temporary folder for images", reason };
        let folder = tempfile::Builder::new().prefix("homolog-eval-").tempdir().map_err(system)?;
        for id in image_ids(pairs) {
            // an id is looked up before it becomes a name: what is in the store is a digest
            let (file, path) = (store.image(&id).await?, folder.path().join(&id));
            blocking(move || std::fs::write(path, file)).await?.map_err(system)?;
        }
        let mut lines = Vec::new();
        for pair in pairs {
            serde_json::to_writer(&mut lines, pair).map_err(Error::corrupt("pairs"))?;
            lines.push(b'\n');
        }
        let path = folder.path().to_owned();
        let read = move || {
            std::fs::write(path.join(LIST), lines).map_err(system)?;
            let dataset = readers::read(&path, &Format::Simple { list: None }, &options);
            dataset.map_err(|error| Error::Pairs(without_folder(error, &path)))
        };
        let dataset = Dataset { name: name.to_owned(), ..blocking(read).await?? };
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

/// The list of pairs that came with a request.
const LIST: &str = "pairs.jsonl";

/// Names files relative to the folder: where that lies is of no use to whoever asked.
fn without_folder(mut error: EvalError, folder: &Path) -> EvalError {
    match &mut error {
        EvalError::Io { path, .. } | EvalError::Format { path, .. } => strip(path, folder),
        EvalError::Strict { first, .. } => strip(&mut first.file, folder),
        EvalError::Empty { path, first, .. } => {
            strip(path, folder);
            if let Some(first) = first {
                strip(&mut first.file, folder);
            }
        }
        _ => {}
    }
    error
}

fn strip(path: &mut PathBuf, folder: &Path) {
    if let Ok(rest) = path.strip_prefix(folder) {
        *path = rest.to_owned();
    }
}
