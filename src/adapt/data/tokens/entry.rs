//! The tokens of one view as a file: safetensors with one tensor, and a digest of its numbers and of what they are.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use half::f16;
use half::slice::HalfFloatSliceExt;
use homolog_core::bundle::hex;
use homolog_core::features::Dtype;
use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use sha2::{Digest, Sha256};

/// The name of the tensor.
const TENSOR: &str = "tokens";
/// The metadata's only entry: of several, the writer would give the order to chance.
const DIGEST: &str = "sha256";

/// What a file must be to be read.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub key: &'a str,
    /// Tokens and their width.
    pub shape: [usize; 2],
    pub dtype: Dtype,
}

/// Why a file gives no tokens.
pub enum Fault {
    Missing,
    Damaged(String),
    /// It may well be whole.
    Unread(std::io::Error),
}

/// Bytes of a file of this shape, all included: the header is never longer than this.
pub fn most_bytes(shape: [usize; 2], dtype: Dtype) -> u64 {
    256 + (shape[0] * shape[1]) as u64 * number(dtype) as u64
}

fn number(dtype: Dtype) -> usize {
    match dtype {
        Dtype::F32 => 4,
        Dtype::F16 => 2,
    }
}

fn kind(dtype: Dtype) -> safetensors::Dtype {
    match dtype {
        Dtype::F32 => safetensors::Dtype::F32,
        Dtype::F16 => safetensors::Dtype::F16,
    }
}

fn digest(key: &str, numbers: &[u8]) -> String {
    hex(&Sha256::new().chain_update(key).chain_update(numbers).finalize())
}

impl Expected<'_> {
    /// The file of these numbers, or why there can be none.
    pub fn encode(&self, data: &[f32]) -> Result<Vec<u8>, String> {
        let mut numbers = Vec::with_capacity(data.len() * number(self.dtype));
        for &value in data {
            let half = f16::from_f32(value);
            match self.dtype {
                _ if !value.is_finite() => return Err(format!("the network gives {value}")),
                Dtype::F32 => numbers.extend(value.to_le_bytes()),
                Dtype::F16 if half.is_finite() => numbers.extend(half.to_le_bytes()),
                Dtype::F16 => return Err(format!("{value} is beyond half precision: keep tokens as f32")),
            }
        }
        let metadata = HashMap::from([(DIGEST.to_owned(), digest(self.key, &numbers))]);
        let tensor =
            TensorView::new(kind(self.dtype), self.shape.into(), &numbers).map_err(|error| error.to_string())?;
        safetensors::serialize([(TENSOR, tensor)], Some(metadata)).map_err(|error| error.to_string())
    }

    /// The numbers of a file as they lie in it, or why they are not those that are expected. The digest is computed if `check`.
    pub fn decode<'f>(&self, file: &'f [u8], check: bool) -> Result<&'f [u8], String> {
        let (_, metadata) = SafeTensors::read_metadata(file).map_err(|error| error.to_string())?;
        let tensors = SafeTensors::deserialize(file).map_err(|error| error.to_string())?;
        let tensor = tensors.tensor(TENSOR).map_err(|error| error.to_string())?;
        if tensor.dtype() != kind(self.dtype) || tensor.shape() != self.shape {
            return Err(format!("it holds {:?} of {:?}", tensor.shape(), tensor.dtype()));
        }
        let written = metadata.metadata().as_ref().and_then(|metadata| metadata.get(DIGEST));
        if check && written != Some(&digest(self.key, tensor.data())) {
            return Err("its numbers are not those that were written".to_owned());
        }
        Ok(tensor.data())
    }

    /// Opens a file. The digest is computed if `check`; header and length always tell.
    pub fn open(&self, path: &Path, check: bool) -> Result<Mmap, Fault> {
        let file = File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Fault::Missing,
            _ => Fault::Unread(error),
        })?;
        // SAFETY: the map is read-only, and a file under its name is never written to: it appears whole, by being renamed, and is
        // removed or replaced whole, which leaves a map as it is.
        let map = unsafe { Mmap::map(&file) }.map_err(Fault::Unread)?;
        self.decode(&map, check).map_err(Fault::Damaged)?;
        Ok(map)
    }

    /// Writes the numbers of a file in single precision. Both have the shape's length.
    pub fn widen(&self, numbers: &[u8], into: &mut [f32]) {
        match self.dtype {
            Dtype::F32 => {
                for (value, bytes) in into.iter_mut().zip(numbers.as_chunks().0) {
                    *value = f32::from_le_bytes(*bytes);
                }
            }
            Dtype::F16 => {
                // in pieces: the crate converts slices three times as fast as single numbers
                let mut halves = [f16::ZERO; 1024];
                for (values, bytes) in into.chunks_mut(halves.len()).zip(numbers.chunks(2 * halves.len())) {
                    for (half, bytes) in halves.iter_mut().zip(bytes.as_chunks().0) {
                        *half = f16::from_le_bytes(*bytes);
                    }
                    halves[..values.len()].convert_to_f32_slice(values);
                }
            }
        }
    }
}
