//! Files that are there whole or not at all.

use crate::Error;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Gives `path` these bytes: a reader, or whoever comes after a kill, finds the old file or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    write(path, &part, bytes).map_err(|error| {
        // what is left of it would only take room
        let _ = fs::remove_file(&part);
        Error::file(path)(error)
    })
}

fn write(path: &Path, part: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(part, path)?;
    // the name is the folder's, and reaches the disk with it
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
