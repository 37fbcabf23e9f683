//! Whose files lie in a cache, and which of them make room for others.
//!
//! ```text
//! lock                  held while a run says what it uses, and files are removed
//! KEY.safetensors       the tokens of a view
//! runs/RUN/lock         held as long as the run lives
//! runs/RUN/keys         bytes of a file, then the keys of all that the run uses, a line each
//! runs/RUN/…            files that are being written
//! ```

use std::collections::{HashMap, HashSet};
use std::fs::{File, TryLockError};
use std::io::{Error as Io, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::{Builder, NamedTempFile, TempDir};

use crate::Error;

const RUNS: &str = "runs";
const LOCK: &str = "lock";
const KEYS: &str = "keys";

/// This run's place in a cache. The system lets go of its lock with the process, however that ends; the next run then removes
/// what it left.
#[derive(Debug)]
pub struct Run {
    // in this order: the lock is let go of once the folder is gone
    own: TempDir,
    _lock: File,
    folder: PathBuf,
    bound: u64,
}

/// A file of the cache.
struct Kept {
    key: String,
    bytes: u64,
    used: SystemTime,
}

impl Run {
    /// Takes a place in a folder, which is made if need be, whose files take no more than `bound` bytes.
    pub fn new(folder: &Path, bound: u64) -> Result<Run, Error> {
        let runs = folder.join(RUNS);
        std::fs::create_dir_all(&runs).map_err(Error::file(&runs))?;
        let _alone = alone(folder)?;
        let own = Builder::new().prefix("").tempdir_in(&runs).map_err(Error::file(&runs))?;
        let path = own.path().join(LOCK);
        let lock = File::create(&path).and_then(|file| file.lock().map(|()| file)).map_err(Error::file(&path))?;
        Ok(Run { own, _lock: lock, folder: folder.to_path_buf(), bound })
    }

    /// The file of a key.
    pub fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.safetensors"))
    }

    /// Claims the files of these keys, of at most `each` bytes, and makes room for those that are missing: files that no run uses
    /// are removed, the one that was used longest ago first. Returns how many.
    pub fn claim(&self, keys: &HashSet<String>, each: u64) -> Result<usize, Error> {
        let _alone = alone(&self.folder)?;
        let mut kept = self.kept()?;
        let present: HashMap<String, u64> = kept.iter().map(|file| (file.key.clone(), file.bytes)).collect();
        let missing = |keys: &HashSet<String>| keys.iter().filter(|key| !present.contains_key(*key)).count() as u64;
        let (others, theirs) = self.others(missing)?;
        let wanted = each * missing(keys);

        kept.retain(|file| !keys.contains(&file.key) && !others.contains(&file.key));
        kept.sort_by(|a, b| (a.used, &a.key).cmp(&(b.used, &b.key)));
        let idle: u64 = kept.iter().map(|file| file.bytes).sum();
        let total = present.values().sum::<u64>() + theirs + wanted;
        let beyond_bound = total.saturating_sub(self.bound);
        if beyond_bound > idle {
            let mine = wanted + keys.iter().filter_map(|key| present.get(key)).sum::<u64>();
            let held = (total - idle).saturating_sub(mine);
            return Err(self.error(format!(
                "the tokens of this run take {}, those of others that are running {}, and the cache may take {}: give it more, keep \
                 tokens as f16, or leave out flips",
                size(mine), size(held), size(self.bound)
            )));
        }
        let free = free_space(&self.folder).map_err(Error::file(&self.folder))?;
        let beyond_disk = (theirs + wanted).saturating_sub(free);
        if wanted > 0 && beyond_disk > idle {
            return Err(self.error(format!(
                "{} of tokens are to be written, and the disk has {} left: make room on it, name a folder on another, or keep tokens \
                 as f16",
                size(theirs + wanted), size(free + idle)
            )));
        }
        let (mut removed, mut freed) = (0, 0);
        for file in kept.iter().take_while(|file| {
            let more = freed < beyond_bound.max(beyond_disk);
            freed += file.bytes;
            more
        }) {
            let path = self.path(&file.key);
            std::fs::remove_file(&path).map_err(Error::file(&path))?;
            removed += 1;
        }
        let lines: String =
            std::iter::once(each.to_string()).chain(keys.iter().cloned()).map(|line| line + "\n").collect();
        let path = self.own.path().join(KEYS);
        std::fs::write(&path, lines).map_err(|error| self.writing(&path, error))?;
        Ok(removed)
    }

    /// Puts a file under its key, whole or not at all.
    pub fn write(&self, key: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(key);
        let written = NamedTempFile::new_in(self.own.path()).and_then(|mut file| {
            file.write_all(bytes)?;
            // not brought to the disk at once: a file that a crash of the machine empties is found by its digest
            file.persist(&path).map_err(|error| error.error)
        });
        written.map(|_| ()).map_err(|error| self.writing(&path, error))
    }

    fn writing(&self, path: &Path, error: Io) -> Error {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                self.error("the disk is full: make room and start again, it goes on from what is there".to_owned())
            }
            _ => Error::file(path)(error),
        }
    }

    pub fn error(&self, reason: String) -> Error {
        Error::Cache { folder: self.folder.clone(), reason }
    }

    fn kept(&self) -> Result<Vec<Kept>, Error> {
        let mut kept = Vec::new();
        for file in std::fs::read_dir(&self.folder).map_err(Error::file(&self.folder))?.flatten() {
            let name = file.file_name();
            let key = name.to_str().and_then(|name| name.strip_suffix(".safetensors"));
            // what is gone meanwhile is not there
            if let (Some(key), Ok(metadata)) = (key, file.metadata()) {
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                kept.push(Kept { key: key.to_owned(), bytes: metadata.len(), used });
            }
        }
        Ok(kept)
    }

    /// The keys of the other runs that live, and the bytes that they have yet to write. What others left is removed.
    fn others(&self, missing: impl Fn(&HashSet<String>) -> u64) -> Result<(HashSet<String>, u64), Error> {
        let (mut others, mut bytes) = (HashSet::new(), 0);
        let runs = self.folder.join(RUNS);
        for run in std::fs::read_dir(&runs).map_err(Error::file(&runs))?.flatten().map(|run| run.path()) {
            if run == self.own.path() {
                continue;
            }
            let lives =
                File::open(run.join(LOCK)).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
            if !lives {
                // whoever cannot remove it has lost nothing but its bytes
                let _ = std::fs::remove_dir_all(&run);
                continue;
            }
            let text = std::fs::read_to_string(run.join(KEYS)).unwrap_or_default();
            let mut lines = text.lines();
            let each: u64 = lines.next().and_then(|each| each.parse().ok()).unwrap_or(0);
            let keys: HashSet<String> = lines.map(str::to_owned).collect();
            bytes += each * missing(&keys);
            others.extend(keys);
        }
        Ok((others, bytes))
    }
}

/// Waits until no other process says what it uses, and keeps others waiting while the file lives.
fn alone(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(Error::file(&path))?;
    file.lock().map_err(Error::file(&path))?;
    Ok(file)
}

/// Bytes that can still be written to the disk of a folder, or of the nearest one above it that exists.
///
/// # Errors
/// What the system says.
pub fn free_space(folder: &Path) -> std::io::Result<u64> {
    let folder = std::path::absolute(folder)?;
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(&folder);
    let disk = rustix::fs::statvfs(there)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Bytes as a person reads them.
fn size(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes >= 1e9 => format!("{:.1} GB", bytes / 1e9),
        bytes if bytes >= 1e6 => format!("{:.1} MB", bytes / 1e6),
        bytes => format!("{:.1} kB", bytes / 1e3),
    }
}
