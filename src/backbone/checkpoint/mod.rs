//! Checkpoint files as named tensors.
//!
//! Two containers are read: PyTorch's zip archives ([`pth`]) and safetensors files, one or sharded ([`safetensors`]).
//! Opening reads names and shapes; a tensor's data is read when it is asked for, so a checkpoint is never in memory whole.

mod names;
mod pickle;
mod pth;
mod safetensors;

use crate::Error;
use half::{bf16, f16};
use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

/// A dense tensor in row-major order, converted to fp32.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// `shape.product()` values.
    pub data: Vec<f32>,
}

impl Tensor {
    /// A tensor of the given shape.
    ///
    /// # Errors
    /// When `data` is not as long as `shape` says.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Result<Tensor, Error> {
        if shape.iter().product::<usize>() != data.len() {
            let reason = format!("{} values for shape {shape:?}", data.len());
            return Err(Error::Tensor { name: "(made here)".into(), reason });
        }
        Ok(Tensor { shape, data })
    }

    /// Rows `range` of the outermost dimension.
    pub(crate) fn rows(self, range: std::ops::Range<usize>) -> Tensor {
        let width: usize = self.shape[1..].iter().product();
        let mut shape = self.shape;
        shape[0] = range.len();
        Tensor { shape, data: self.data[range.start * width..range.end * width].to_vec() }
    }
}

/// Element types that checkpoints hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    /// Counters and masks: named, never read.
    Other,
}

impl Dtype {
    fn bytes(self) -> usize {
        match self {
            Dtype::F64 => 8,
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::Bf16 => 2,
            Dtype::Other => 1,
        }
    }

    /// Converts little-endian bytes to fp32; the length is a multiple of the element size.
    fn to_f32(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Dtype::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
            Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::Bf16 => bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::Other => Vec::new(),
        }
    }
}

/// An open checkpoint.
pub struct Checkpoint {
    shapes: BTreeMap<String, Vec<usize>>,
    container: Container,
}

enum Container {
    Pth(pth::Archive),
    Safetensors(safetensors::Files),
    Memory(BTreeMap<String, Tensor>),
}

impl Checkpoint {
    /// Opens a `.pth`/`.pt` archive, a `.safetensors` file, a `*.safetensors.index.json`, or a folder that holds one of the
    /// latter two under its usual name. What the file is, is told by its content.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::NotACheckpoint`], [`Error::Pickle`].
    pub fn open(path: &Path) -> Result<Checkpoint, Error> {
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "json") {
            return safetensors::Files::open_sharded(path).map(Checkpoint::from_safetensors);
        }
        let mut magic = [0u8; 9];
        let read = File::open(path).and_then(|mut file| file.read(&mut magic)).map_err(Error::io(path))?;
        match &magic[..read] {
            [b'P', b'K', 3, 4, ..] => {
                let archive = pth::Archive::open(path)?;
                Ok(Checkpoint { shapes: archive.shapes(), container: Container::Pth(archive) })
            }
            // Eight bytes of header length, then JSON.
            [_, _, _, _, _, _, _, _, b'{'] => safetensors::Files::open(path).map(Checkpoint::from_safetensors),
            // PyTorch before 1.6: a bare pickle.
            [0x80, 2..=5, ..] => Err(Error::NotACheckpoint {
                path: path.into(),
                reason: "it is a pickle of PyTorch before 1.6; load it with a newer PyTorch and save it again".into(),
            }),
            _ => {
                Err(Error::NotACheckpoint { path: path.into(), reason: "its first bytes are those of neither".into() })
            }
        }
    }

    /// A checkpoint held in memory: random weights, merged weights.
    pub fn from_tensors(tensors: BTreeMap<String, Tensor>) -> Checkpoint {
        let shapes = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shape.clone())).collect();
        Checkpoint { shapes, container: Container::Memory(tensors) }
    }

    fn from_safetensors(files: safetensors::Files) -> Checkpoint {
        Checkpoint { shapes: files.shapes(), container: Container::Safetensors(files) }
    }

    /// Names and shapes of all tensors, in the order of their names.
    pub fn shapes(&self) -> &BTreeMap<String, Vec<usize>> {
        &self.shapes
    }

    /// Reads one tensor, as fp32.
    ///
    /// # Errors
    /// [`Error::Tensor`] when it is not there, damaged, or not of a float type.
    pub fn read(&self, name: &str) -> Result<Tensor, Error> {
        match &self.container {
            Container::Pth(archive) => archive.read(name),
            Container::Safetensors(files) => files.read(name),
            Container::Memory(tensors) => tensors.get(name).cloned().ok_or_else(|| absent(name)),
        }
    }
}

fn absent(name: &str) -> Error {
    Error::Tensor { name: name.into(), reason: "it is not in the checkpoint".into() }
}
