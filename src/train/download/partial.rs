//! The part of a file that has come, and what is known of the whole.

use super::beside;
use crate::Error;
use homolog_core::bundle::{self, FileInfo};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, TryLockError},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use ureq::http::{HeaderMap, HeaderName, header};

/// What the server said of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub url: String,
    /// What tells this file from a later one of the same address: a strong `ETag`, else the date of its last change.
    pub validator: Option<String>,
    /// The whole file's length.
    pub bytes: Option<u64>,
}

impl Record {
    pub fn of(url: &str, headers: &HeaderMap) -> Record {
        let strong = text(headers, header::ETAG).filter(|tag| !tag.starts_with("W/"));
        let validator = strong.or_else(|| text(headers, header::LAST_MODIFIED)).map(str::to_owned);
        let bytes = text(headers, header::CONTENT_LENGTH).and_then(|bytes| bytes.parse().ok());
        Record { url: url.into(), validator, bytes }
    }

    /// `None` when there is none, or nothing that this program wrote.
    pub fn read(path: &Path) -> Option<Record> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }
}

/// The open `.part` file, locked against other processes.
pub(super) struct Partial {
    whole: PathBuf,
    part: PathBuf,
    file: File,
    length: u64,
    record: Record,
}

impl Partial {
    /// Opens what an earlier run left of `url` for `whole`, or begins anew.
    pub fn open(url: &str, whole: &Path) -> Result<Partial, Error> {
        let folder = whole.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(Error::file(folder))?;
        let part = beside(whole, ".part");
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&part);
        let mut file = file.map_err(Error::file(&part))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { path: whole.into() }),
            Err(TryLockError::Error(error)) => return Err(Error::file(&part)(error)),
        }
        let length = file.seek(SeekFrom::End(0)).map_err(Error::file(&part))?;
        let known = Record::read(&beside(&part, ".json")).filter(|record| record.url == url);
        let record = known.clone().unwrap_or(Record { url: url.into(), validator: None, bytes: None });
        let mut partial = Partial { whole: whole.into(), part, file, length, record };
        // Without a validator nobody can say whether the rest belongs to it.
        let useful = known.is_some_and(|record| {
            record.validator.is_some() && record.bytes.is_none_or(|bytes| partial.length <= bytes)
        });
        if length > 0 && !useful {
            partial.restart(partial.record.clone())?;
        }
        Ok(partial)
    }

    /// Bytes that have come.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes that there are, as far as known.
    pub fn bytes(&self) -> Option<u64> {
        self.record.bytes
    }

    pub fn is_whole(&self) -> bool {
        self.length > 0 && self.record.bytes == Some(self.length)
    }

    /// Where to go on from, and the validator to go on with.
    pub fn resumable(&self) -> Option<(u64, &str)> {
        self.record.validator.as_deref().filter(|_| self.length > 0).map(|validator| (self.length, validator))
    }

    /// Whether an answer of 206 is the rest of this file: `Content-Range: bytes FROM-TO/ALL`.
    pub fn continues(&self, headers: &HeaderMap) -> bool {
        let Some((from, all)) = text(headers, header::CONTENT_RANGE).and_then(|range| {
            let (span, all) = range.strip_prefix("bytes ")?.split_once('/')?;
            let (from, _) = span.split_once('-')?;
            Some((from.parse::<u64>().ok()?, all.parse::<u64>().ok()))
        }) else {
            return false;
        };
        let tag = text(headers, header::ETAG).filter(|tag| !tag.starts_with("W/"));
        let known = self.record.validator.as_deref().filter(|known| known.starts_with('"'));
        let changed = matches!((tag, known), (Some(tag), Some(known)) if tag != known);
        let longer = matches!((all, self.record.bytes), (Some(all), Some(bytes)) if all != bytes);
        from == self.length && !changed && !longer
    }

    /// Drops what has come; the next byte is the first of the file that `record` describes.
    pub fn restart(&mut self, record: Record) -> Result<(), Error> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(Error::file(&self.part))?;
        (self.length, self.record) = (0, record);
        let path = beside(&self.part, ".json");
        let json = serde_json::to_vec(&self.record).map_err(|error| Error::file(&path)(error.into()))?;
        fs::write(&path, json).map_err(Error::file(&path))
    }

    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::file(&self.part))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Checks the digest and gives the file its name. A file with another digest is removed.
    pub fn finish(&self, sha256: Option<&str>) -> Result<FileInfo, Error> {
        self.file.sync_all().map_err(Error::file(&self.part))?;
        let found = bundle::digest_file(&self.part).map_err(Error::file(&self.part))?;
        let record = beside(&self.part, ".json");
        if let Some(expected) = sha256.filter(|expected| *expected != found.sha256) {
            fs::remove_file(&self.part).map_err(Error::file(&self.part))?;
            fs::remove_file(&record).map_err(Error::file(&record))?;
            return Err(Error::Digest { url: self.record.url.clone(), expected: expected.into(), found: found.sha256 });
        }
        // The file first: a record without its file would vouch for what is not there.
        fs::rename(&self.part, &self.whole).map_err(Error::file(&self.whole))?;
        fs::rename(&record, beside(&self.whole, ".json")).map_err(Error::file(&record))?;
        Ok(found)
    }
}

impl Drop for Partial {
    /// Nothing came: nothing is left.
    fn drop(&mut self) {
        if self.length == 0 {
            // A failure leaves an empty file, which the next run takes over.
            let _ = fs::remove_file(&self.part);
            let _ = fs::remove_file(beside(&self.part, ".json"));
        }
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
