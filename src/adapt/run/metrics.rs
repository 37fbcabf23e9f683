//! What was measured, as JSON lines. No clock is in them: the same run writes the same bytes.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A step.
    Step {
        /// Steps done, this one included.
        step: u64,
        /// The same in epochs.
        epoch: f64,
        /// The loss before the step.
        loss: f64,
        /// Each of its parts, unweighted.
        parts: BTreeMap<String, f64>,
        /// The learning rate of the step.
        learning_rate: f64,
        /// The global norm of the gradients, before clipping.
        gradient_norm: f64,
    },
    /// A validation.
    Validation {
        /// Steps done.
        step: u64,
        /// The same in epochs.
        epoch: f64,
        /// α and PCK per image, 0 to 1.
        per_image: Vec<(f64, f64)>,
        /// α and PCK per point, 0 to 1.
        per_point: Vec<(f64, f64)>,
        /// Whether it is the best so far.
        best: bool,
    },
}

impl Record {
    /// Steps done.
    pub fn step(&self) -> u64 {
        match self {
            Record::Step { step, .. } | Record::Validation { step, .. } => *step,
        }
    }
}

/// The file, and what stands in it.
pub(crate) struct Metrics {
    path: PathBuf,
    file: File,
    pub records: Vec<Record>,
}

impl Metrics {
    /// Opens the file and drops what was written after `step`, a line that was cut off included.
    pub fn open(path: &Path, step: u64) -> Result<Metrics, Error> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path);
        let mut file = file.map_err(Error::file(path))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(Error::file(path))?;
        let (mut records, mut length) = (Vec::new(), 0);
        for line in bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            match serde_json::from_slice::<Record>(line) {
                Ok(record) if record.step() <= step => records.push(record),
                _ => break,
            }
            length += line.len() as u64;
        }
        file.set_len(length).and_then(|()| file.seek(SeekFrom::End(0))).map_err(Error::file(path))?;
        Ok(Metrics { path: path.into(), file, records })
    }

    pub fn append(&mut self, record: Record) -> Result<(), Error> {
        let line = serde_json::to_string(&record).map_err(|error| Error::file(&self.path)(error.into()))? + "\n";
        self.file.write_all(line.as_bytes()).map_err(Error::file(&self.path))?;
        self.records.push(record);
        Ok(())
    }

    /// Before a checkpoint: what it says was done stands in the file.
    pub fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(Error::file(&self.path))
    }
}
