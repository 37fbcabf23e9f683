//! TensorBoard's event files: TFRecords of protocol buffers, each with its length and masked checksums.
//! Numbers and meanings: <https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto>,
//! `summary.proto` beside it, and <https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/lib/io/record_writer.h>.

use super::Record;
use crate::Error;
use crc::{CRC_32_ISCSI, Crc};
use prost::Message;
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

const CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
const MASK: u32 = 0xa282_ead8;
/// Length and its checksum before the bytes, their checksum after.
const HEAD: usize = 12;
const TAIL: usize = 4;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// An event file that is written to.
pub(crate) struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Opens the file and drops what was written after `step`, a record that was cut off included. A TensorBoard that has read on
    /// finds what comes in its place at the same bytes, since records have their lengths from their tags.
    pub fn open(path: &Path, step: u64) -> Result<Events, Error> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path);
        let mut file = file.map_err(Error::file(path))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(Error::file(path))?;
        let mut length = 0;
        while let Some((event, taken)) = read(&bytes[length..]).filter(|(event, _)| event.step <= step as i64) {
            // a file that is not ours is begun anew
            if length == 0 && event.file_version.is_none() {
                break;
            }
            length += taken;
        }
        file.set_len(length as u64).and_then(|()| file.seek(SeekFrom::End(0))).map_err(Error::file(path))?;
        let mut events = Events { path: path.into(), file };
        if length == 0 {
            events.write(Event { file_version: Some("brain.Event:2".into()), ..Event::default() })?;
        }
        Ok(events)
    }

    pub fn append(&mut self, record: &Record) -> Result<(), Error> {
        let values = match record {
            Record::Step { epoch, loss, parts, learning_rate, gradient_norm, .. } => {
                let mut values = vec![
                    ("epoch".to_owned(), *epoch),
                    ("loss".into(), *loss),
                    ("learning_rate".into(), *learning_rate),
                    ("gradient_norm".into(), *gradient_norm),
                ];
                values.extend(parts.iter().map(|(name, part)| (format!("loss/{name}"), *part)));
                values
            }
            Record::Validation { per_image, per_point, .. } => {
                let named = |average: &str, at: &[(f64, f64)]| {
                    at.iter().map(|(alpha, pck)| (format!("pck/{average}@{alpha}"), *pck)).collect::<Vec<_>>()
                };
                [named("per_image", per_image), named("per_point", per_point)].concat()
            }
        };
        let value = values.into_iter().map(|(tag, value)| Value { tag, simple_value: Some(value as f32) }).collect();
        self.write(Event { step: record.step() as i64, summary: Some(Summary { value }), ..Event::default() })
    }

    fn write(&mut self, mut event: Event) -> Result<(), Error> {
        event.wall_time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let data = event.encode_to_vec();
        let length = (data.len() as u64).to_le_bytes();
        let record = [&length[..], &checksum(&length).to_le_bytes(), &data, &checksum(&data).to_le_bytes()].concat();
        self.file.write_all(&record).map_err(Error::file(&self.path))
    }
}

/// The first event of `bytes` and its length in the file; none where it is cut off or damaged.
fn read(bytes: &[u8]) -> Option<(Event, usize)> {
    let length = bytes.first_chunk::<8>()?;
    let word = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    if word(8)? != checksum(length) {
        return None;
    }
    let end = usize::try_from(u64::from_le_bytes(*length)).ok()?.checked_add(HEAD)?;
    let data = bytes.get(HEAD..end)?;
    (word(end)? == checksum(data)).then(|| Event::decode(data).ok())?.map(|event| (event, end + TAIL))
}

/// CRC-32C, turned and shifted so that a checksum of data with checksums in it stays one.
fn checksum(bytes: &[u8]) -> u32 {
    CASTAGNOLI.checksum(bytes).rotate_right(15).wrapping_add(MASK)
}
