//! The folder of a run.

use super::file;
use crate::Error;
use homolog_core::bundle::hex;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

/// The folder of one run, which this process alone writes to as long as this lives.
///
/// In it: `config.toml`, `metrics.jsonl`, `events.out.tfevents.homolog`, `loss.svg`, `pck.svg`, `time.json`, and
/// `checkpoints/{last,best}.safetensors`.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    digest: String,
    _lock: File,
}

impl Folder {
    /// Opens a run's folder, or makes it, with the resolved configuration: all that decides the run's result.
    ///
    /// # Errors
    /// [`Error::OtherRun`] where the folder is that of a run with another configuration, [`Error::InUse`] where another process
    /// has it, and whatever the disk refuses.
    pub fn open(path: &Path, config: &impl Serialize) -> Result<Folder, Error> {
        let checkpoints = path.join("checkpoints");
        fs::create_dir_all(&checkpoints).map_err(Error::file(&checkpoints))?;
        let lock = path.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&lock).map_err(Error::file(&lock))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { path: path.into() }),
            Err(TryLockError::Error(error)) => return Err(Error::file(&lock)(error)),
        }
        let written = path.join("config.toml");
        let ours = toml::to_string_pretty(config)
            .map_err(|error| Error::File { path: written.clone(), reason: error.to_string() })?;
        match fs::read_to_string(&written) {
            Ok(theirs) if theirs == ours => {}
            Ok(theirs) => return Err(other(&written, &theirs, &ours)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => file::replace(&written, ours.as_bytes())?,
            Err(error) => return Err(Error::file(&written)(error)),
        }
        Ok(Folder { path: path.into(), digest: hex(&Sha256::digest(ours.as_bytes())), _lock: file })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the configuration.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// One line of JSON for each step and each validation: [`Record`](super::Record).
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// The same for TensorBoard.
    pub fn events(&self) -> PathBuf {
        self.path.join("events.out.tfevents.homolog")
    }

    /// The loss over the steps.
    pub fn loss_plot(&self) -> PathBuf {
        self.path.join("loss.svg")
    }

    /// PCK over the steps.
    pub fn pck_plot(&self) -> PathBuf {
        self.path.join("pck.svg")
    }

    /// From where the run goes on.
    pub fn last(&self) -> PathBuf {
        self.path.join("checkpoints/last.safetensors")
    }

    /// The parameters with the best PCK so far, without moments.
    pub fn best(&self) -> PathBuf {
        self.path.join("checkpoints/best.safetensors")
    }

    /// Seconds that the run took until its last checkpoint, those before a kill included. Not in the checkpoint, which is the same
    /// bytes however long it took.
    pub fn seconds(&self) -> f64 {
        // a file that was lost costs the knowledge of the time, and nothing else
        let text = fs::read_to_string(self.path.join("time.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or(0.0)
    }

    pub(crate) fn keep_seconds(&self, seconds: f64) -> Result<(), Error> {
        file::replace(&self.path.join("time.json"), format!("{seconds:.3}\n").as_bytes())
    }
}

/// The first line that differs.
fn other(path: &Path, theirs: &str, ours: &str) -> Error {
    let name = |line: Option<&str>| line.map_or("no more settings".to_owned(), |line| format!("`{line}`"));
    let (mut theirs, mut ours) = (theirs.lines(), ours.lines());
    loop {
        let (their, our) = (theirs.next(), ours.next());
        if their != our || their.is_none() {
            return Error::OtherRun { path: path.into(), theirs: name(their), ours: name(our) };
        }
    }
}
