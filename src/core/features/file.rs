//! A feature map as a file that other programs read: npy or safetensors, `[h, w, c]` in C order, little-endian.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use half::f16;
use safetensors::SafeTensorError;
use safetensors::tensor::TensorView;
use serde::{Deserialize, Serialize};

use super::FeatureMap;
use crate::Error;

/// The name of the tensor in a safetensors file.
pub const TENSOR: &str = "descriptors";

/// The numbers in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// Single precision: the very bits that are matched.
    #[default]
    F32,
    /// Half precision: each number rounded to the nearest, ties to even.
    F16,
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dtype::F32 => "f32",
            Dtype::F16 => "f16",
        })
    }
}

impl FromStr for Dtype {
    type Err = Error;

    fn from_str(text: &str) -> Result<Dtype, Error> {
        match text {
            "f32" => Ok(Dtype::F32),
            "f16" => Ok(Dtype::F16),
            _ => Err(Error::UnknownChoice { what: "dtype", found: text.to_owned(), choices: "f32, f16" }),
        }
    }
}

impl FeatureMap<'_> {
    /// The map as an npy file: `numpy.load` gives `[h, w, c]`.
    ///
    /// Format 1.0 of <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>: magic and version in 8 bytes, the
    /// length of the header in 2, then the header, a Python dictionary padded with spaces up to a line end so that the numbers
    /// begin at a multiple of 64. Written here because the crates that write it bring a parser of Python along.
    ///
    /// # Errors
    /// [`Error::NotHalf`].
    pub fn to_npy(&self, dtype: Dtype) -> Result<Vec<u8>, Error> {
        let descr = match dtype {
            Dtype::F32 => "<f4",
            Dtype::F16 => "<f2",
        };
        let (h, w, c) = (self.grid.height, self.grid.width, self.channels);
        let dictionary = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({h}, {w}, {c}), }}");
        let start = (10 + dictionary.len() + 1).next_multiple_of(64);
        let mut file = Vec::with_capacity(start + 4 * self.data.len());
        file.extend(b"\x93NUMPY\x01\x00");
        // a few words and three numbers: far from 65536
        file.extend((start as u16 - 10).to_le_bytes());
        file.extend(dictionary.as_bytes());
        file.resize(start - 1, b' ');
        file.push(b'\n');
        self.write_numbers(dtype, &mut file)?;
        Ok(file)
    }

    /// The map as a safetensors file of one tensor, [`TENSOR`], with one entry of metadata; of several, the writer would give the
    /// order to chance.
    ///
    /// # Errors
    /// [`Error::NotHalf`]; [`Error::Safetensors`] if the metadata is longer than the format allows (100 MB).
    pub fn to_safetensors(&self, dtype: Dtype, key: &str, value: &str) -> Result<Vec<u8>, Error> {
        let kind = match dtype {
            Dtype::F32 => safetensors::Dtype::F32,
            Dtype::F16 => safetensors::Dtype::F16,
        };
        let mut numbers = Vec::with_capacity(4 * self.data.len());
        self.write_numbers(dtype, &mut numbers)?;
        let shape = vec![self.grid.height, self.grid.width, self.channels];
        let refused = |error: SafeTensorError| Error::Safetensors { reason: error.to_string() };
        let tensor = TensorView::new(kind, shape, &numbers).map_err(refused)?;
        let metadata = HashMap::from([(key.to_owned(), value.to_owned())]);
        safetensors::serialize([(TENSOR, tensor)], Some(metadata)).map_err(refused)
    }

    fn write_numbers(&self, dtype: Dtype, file: &mut Vec<u8>) -> Result<(), Error> {
        match dtype {
            Dtype::F32 => self.data.iter().for_each(|value| file.extend(value.to_le_bytes())),
            Dtype::F16 => {
                for &value in self.data.iter() {
                    let half = f16::from_f32(value);
                    if half.is_infinite() && value.is_finite() {
                        return Err(Error::NotHalf { value });
                    }
                    file.extend(half.to_le_bytes());
                }
            }
        }
        Ok(())
    }
}
