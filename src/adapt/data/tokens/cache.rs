//! The cache itself: what is missing is computed, what is there is checked and read.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::entry::{self, Fault};
use super::room::Run;
use super::{CacheSettings, Notice, Prepared, Progress, TokenSource, TokenSpec, Tokens, keys};
use crate::Error;
use crate::data::Inputs;

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
