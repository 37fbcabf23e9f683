//! The tokens of the frozen blocks, computed once and kept on disk for this run and later ones.
//!
//! A file holds the tokens of one view under a key that says all that they depend on. It appears whole or not at all, is checked
//! before its first use, and is computed again if it is damaged, which is said.

mod entry;
mod room;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use homolog_core::bundle::{digest_file, hex};
use homolog_core::features::Dtype;
use homolog_core::geometry::FitMode;
use sha2::{Digest, Sha256};

use super::Inputs;
use crate::Error;
use entry::{Expected, Fault};
use room::Run;
pub use room::free_space;

/// What the frozen blocks make of an image: `[tokens, width]`, row-major, those of class and registers included.
#[derive(Clone, Debug, PartialEq)]
pub struct Tokens {
    /// How many there are and how many numbers each has.
    pub shape: [usize; 2],
    /// All numbers.
    pub data: Vec<f32>,
}

/// Whoever runs the frozen blocks.
pub trait TokenSource: Send + Sync {
    /// The tokens of an image, or of the picture mirrored, which is not the same as mirrored tokens: the position embedding stays.
    ///
    /// # Errors
    /// Whatever reading or running meets.
    fn tokens(&self, image: &Path, flipped: bool) -> Result<Tokens, Error>;
}

/// What the tokens of an image depend on beside the image, and how they are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenSpec {
    /// Digest of the frozen weights, say [`Bundle::backbone_key`](homolog_core::bundle::Bundle::backbone_key).
    pub backbone: String,
    /// How many blocks are frozen.
    pub blocks: usize,
    /// Side of the network's canvas, px.
    pub resolution: u32,
    /// How an image is brought there.
    pub fit: FitMode,
    /// Tokens of an image and their width.
    pub shape: [usize; 2],
    /// Half precision takes half the room and rounds each number by up to 1 in 2,048.
    pub dtype: Dtype,
}

/// Where tokens are kept, and how they are computed.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheSettings {
    /// The folder, which any number of runs may use at the same time.
    pub folder: PathBuf,
    /// Most bytes that the files in it take together.
    pub bound: u64,
    /// Threads that ask the source at the same time, at least 1. A second one reads pictures while the first computes.
    pub callers: usize,
}

/// How far [`TokenCache::prepare`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Views that are ready.
    pub done: usize,
    /// All views.
    pub total: usize,
}

/// What [`TokenCache::prepare`] found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Views that were there.
    pub reused: usize,
    /// Views that were computed.
    pub computed: usize,
    /// Files that no run used and that made room.
    pub removed: usize,
}

/// What a set of views takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Views that are there.
    pub present: usize,
    /// Views that are to be computed.
    pub missing: usize,
    /// Bytes of a view.
    pub each: u64,
}

/// Whoever is told what was wrong with the cache and has been made good.
pub type Notice = Box<dyn Fn(&str) + Send + Sync>;

/// The tokens of a run's views, on disk.
pub struct TokenCache {
    spec: TokenSpec,
    settings: CacheSettings,
    source: Arc<dyn TokenSource>,
    notice: Notice,
    run: Run,
    /// By the image: as it lies, and mirrored.
    files: HashMap<PathBuf, [Option<Kept>; 2]>,
}

/// A view of this run.
struct Kept {
    key: String,
    /// Whether its digest was computed in this run.
    checked: AtomicBool,
}

impl TokenSpec {
    /// The key of a view of the image with this digest.
    fn key(&self, image: &str, flipped: bool) -> String {
        let TokenSpec { backbone, blocks, resolution, fit, shape: [tokens, width], dtype } = self;
        let text = format!(
            "tokens 1\n{backbone}\n{blocks}\n{image}\n{resolution}\n{fit}\n{flipped}\n{tokens}\n{width}\n{dtype}\n"
        );
        hex(&Sha256::digest(text))
    }

    /// What the views take, of which those in the folder are there, without writing anything.
    ///
    /// # Errors
    /// [`Error::File`] for an image that cannot be read.
    pub fn cost<'a>(&self, folder: &Path, views: impl IntoIterator<Item = (&'a Path, bool)>) -> Result<Cost, Error> {
        let mut cost = Cost { each: entry::most_bytes(self.shape, self.dtype), ..Cost::default() };
        for (_, _, key) in keys(self, views)? {
            match folder.join(format!("{key}.safetensors")).is_file() {
                true => cost.present += 1,
                false => cost.missing += 1,
            }
        }
        Ok(cost)
    }

    fn expected<'a>(&self, key: &'a str) -> Expected<'a> {
        Expected { key, shape: self.shape, dtype: self.dtype }
    }
}

/// Views with their keys; each image is read once.
fn keys<'a>(
    spec: &TokenSpec,
    views: impl IntoIterator<Item = (&'a Path, bool)>,
) -> Result<Vec<(&'a Path, bool, String)>, Error> {
    let mut digests: HashMap<&Path, String> = HashMap::new();
    let with_key = |(image, flipped): (&'a Path, bool)| {
        if !digests.contains_key(image) {
            digests.insert(image, digest_file(image).map_err(Error::file(image))?.sha256);
        }
        Ok((image, flipped, spec.key(&digests[image], flipped)))
    };
    views.into_iter().map(with_key).collect()
}

impl TokenCache {
    /// A cache in a folder, which is made if need be. Nothing can be read before it is prepared.
    ///
    /// # Errors
    /// [`Error::File`] for a folder that cannot be written.
    pub fn open(
        spec: TokenSpec,
        settings: CacheSettings,
        source: Arc<dyn TokenSource>,
        notice: Notice,
    ) -> Result<TokenCache, Error> {
        let run = Run::new(&settings.folder, settings.bound)?;
        Ok(TokenCache { spec, settings, source, notice, run, files: HashMap::new() })
    }

    /// Computes what is missing of these views, images and whether they are mirrored, which take the place of those before. After
    /// a kill it goes on from what is there.
    ///
    /// # Errors
    /// [`Error::Cache`] if the bound or the disk is too small, before anything is computed; [`Error::File`] for an image or a file
    /// of the cache; what the source meets. The first one ends it.
    pub fn prepare<'a>(
        &mut self,
        views: impl IntoIterator<Item = (&'a Path, bool)>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Prepared, Error> {
        let views = keys(&self.spec, views)?;
        let all: HashSet<String> = views.iter().map(|(.., key)| key.clone()).collect();
        for (image, _, key) in &views {
            self.is_there(image, key)?;
        }
        let removed = self.run.claim(&all, entry::most_bytes(self.spec.shape, self.spec.dtype))?;
        self.touch(&all);
        // only now: until it was claimed, another run could remove a file
        let mut wanted = Vec::new();
        for (image, flipped, key) in &views {
            if !self.is_there(image, key)? {
                wanted.push((*image, *flipped, key.as_str()));
            }
        }
        let total = views.len();
        let reused = total - wanted.len();
        let computed = self.compute(&wanted, &|done| progress(Progress { done: reused + done, total }))?;
        let mut files: HashMap<PathBuf, [Option<Kept>; 2]> = HashMap::new();
        for (image, flipped, key) in views {
            let kept = Kept { key, checked: AtomicBool::new(false) };
            files.entry(image.to_path_buf()).or_default()[usize::from(flipped)] = Some(kept);
        }
        self.files = files;
        Ok(Prepared { reused: total - computed, computed, removed })
    }

    /// Whether there is a file of this key that is whole, as far as header and length tell. One that is not is removed.
    fn is_there(&self, image: &Path, key: &str) -> Result<bool, Error> {
        let path = self.run.path(key);
        match self.spec.expected(key).open(&path, false) {
            Ok(_) => Ok(true),
            Err(Fault::Missing) => Ok(false),
            Err(Fault::Unread(error)) => Err(Error::file(&path)(error)),
            Err(Fault::Damaged(reason)) => {
                self.discard(image, key, &reason);
                Ok(false)
            }
        }
    }

    /// Marks files as used now.
    fn touch(&self, keys: &HashSet<String>) {
        for key in keys {
            // a file that keeps its time is removed a little earlier than it should be, by a later run
            let _ = File::open(self.run.path(key)).and_then(|file| file.set_modified(SystemTime::now()));
        }
    }

    /// Computes views on several threads; how many were computed, since another process may bring one first.
    fn compute(&self, wanted: &[(&Path, bool, &str)], progress: &(dyn Fn(usize) + Sync)) -> Result<usize, Error> {
        let (next, done, computed) = (AtomicUsize::new(0), Mutex::new(0), AtomicUsize::new(0));
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        let report = || {
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            progress(*done);
            *done += 1;
        };
        report();
        let caller = || {
            while let Some((image, flipped, key)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                if failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                    return;
                }
                match self.bring(image, *flipped, key) {
                    Ok(brought) => computed.fetch_add(usize::from(brought), Ordering::Relaxed),
                    Err(error) => {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        return;
                    }
                };
                report();
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.settings.callers.clamp(1, wanted.len().max(1)) {
                scope.spawn(caller);
            }
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(computed.into_inner()),
        }
    }

    /// Computes the file of a view and puts it in its place, unless another process has meanwhile.
    fn bring(&self, image: &Path, flipped: bool, key: &str) -> Result<bool, Error> {
        if self.is_there(image, key)? {
            return Ok(false);
        }
        self.run.write(key, &self.encoded(image, flipped, key)?)?;
        Ok(true)
    }

    /// The file of a view, computed.
    fn encoded(&self, image: &Path, flipped: bool, key: &str) -> Result<Vec<u8>, Error> {
        let Tokens { shape, data } = self.source.tokens(image, flipped)?;
        let wrong = |reason| Error::File { path: image.to_path_buf(), reason };
        if shape != self.spec.shape || data.len() != shape[0] * shape[1] {
            let [tokens, width] = self.spec.shape;
            return Err(wrong(format!("the network gives {shape:?} where {tokens} tokens of {width} are expected")));
        }
        self.spec.expected(key).encode(&data).map_err(wrong)
    }

    fn discard(&self, image: &Path, key: &str, reason: &str) {
        let file = self.run.path(key);
        (self.notice)(&format!("{}: {reason}; the tokens of {} are computed again", file.display(), image.display()));
        // one that cannot be removed is replaced all the same
        let _ = std::fs::remove_file(file);
    }
}

impl Inputs for TokenCache {
    fn numbers(&self) -> usize {
        self.spec.shape[0] * self.spec.shape[1]
    }

    fn read(&self, image: &Path, flipped: bool, into: &mut [f32]) -> Result<(), Error> {
        let kept = self.files.get(image).and_then(|views| views[usize::from(flipped)].as_ref());
        let Some(Kept { key, checked }) = kept else {
            let view = if flipped { "mirrored" } else { "as it lies" };
            return Err(self.run.error(format!("no tokens of {} {view} were prepared", image.display())));
        };
        let expected = self.spec.expected(key);
        let damaged = |reason| self.run.error(format!("{key}: {reason}"));
        let path = self.run.path(key);
        match expected.open(&path, !checked.load(Ordering::Relaxed)) {
            Ok(map) => {
                checked.store(true, Ordering::Relaxed);
                expected.widen(expected.decode(&map, false).map_err(damaged)?, into);
                return Ok(());
            }
            Err(Fault::Missing) => self.discard(image, key, "it is gone"),
            Err(Fault::Damaged(reason)) => self.discard(image, key, &reason),
            Err(Fault::Unread(error)) => return Err(Error::file(&path)(error)),
        }
        let bytes = self.encoded(image, flipped, key)?;
        if let Err(error) = self.run.write(key, &bytes) {
            (self.notice)(&format!("{error}; the tokens of {} are used and not kept", image.display()));
        }
        // through the file's numbers: half precision rounds them
        expected.widen(expected.decode(&bytes, false).map_err(damaged)?, into);
        Ok(())
    }
}
