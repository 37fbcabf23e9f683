//! PyTorch's zip archives (`torch.save` since 1.6): `NAME/data.pkl` says which tensors there are, `NAME/data/KEY` holds
//! each storage's bytes. Layout: <https://github.com/pytorch/pytorch/blob/main/torch/serialization.py>.

use super::{
    Dtype, Tensor, absent,
    pickle::{self, Storage},
};
use crate::Error;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use zip::ZipArchive;

/// A pickle names tensors; real ones are a few hundred kilobytes.
const MAX_PICKLE: u64 = 64 << 20;

pub(super) struct Archive {
    path: PathBuf,
    prefix: String,
    zip: Mutex<ZipArchive<BufReader<File>>>,
    tensors: BTreeMap<String, pickle::TensorRef>,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Archive, Error> {
        let not = |reason: String| Error::NotACheckpoint { path: path.into(), reason };
        let file = File::open(path).map_err(Error::io(path))?;
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|error| not(error.to_string()))?;
        let prefix = zip
            .file_names()
            .find_map(|name| name.ok()?.strip_suffix("data.pkl").map(str::to_owned))
            .ok_or_else(|| not("the zip file has no data.pkl".into()))?;
        if let Some(order) = read_entry(&mut zip, &format!("{prefix}byteorder"), 16)
            && order != b"little"
        {
            return Err(not("it was saved on a big-endian machine".into()));
        }
        let pkl = read_entry(&mut zip, &format!("{prefix}data.pkl"), MAX_PICKLE)
            .ok_or_else(|| not(format!("its data.pkl is damaged or larger than {MAX_PICKLE} bytes")))?;
        let tensors = pickle::tensors(&pkl).map_err(|reason| Error::Pickle { path: path.into(), reason })?;
        Ok(Archive { path: path.into(), prefix, zip: Mutex::new(zip), tensors })
    }

    pub(super) fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shape.clone())).collect()
    }

    pub(super) fn read(&self, name: &str) -> Result<Tensor, Error> {
        let wrong = |reason: String| Error::Tensor { name: name.into(), reason };
        let tensor = self.tensors.get(name).ok_or_else(|| absent(name))?;
        let Storage { key, dtype, len } = &tensor.storage;
        if *dtype == Dtype::Other {
            return Err(wrong("its type is no float".into()));
        }
        let bytes = len.checked_mul(dtype.bytes()).ok_or_else(|| wrong("its storage is impossibly long".into()))?;
        let entry = format!("{}data/{key}", self.prefix);
        let storage = {
            let mut zip = self.zip.lock().unwrap_or_else(PoisonError::into_inner);
            read_entry(&mut zip, &entry, bytes as u64)
        };
        let storage = storage.filter(|storage| storage.len() == bytes).ok_or_else(|| {
            wrong(format!("{entry} in {} is missing or does not hold {bytes} bytes", self.path.display()))
        })?;
        let values = dtype.to_f32(&storage);
        gather(&values, tensor).map(|data| Tensor { shape: tensor.shape.clone(), data }).ok_or_else(|| {
            wrong(format!("shape {:?} with stride {:?} leaves its storage", tensor.shape, tensor.stride))
        })
    }
}

/// Reads one entry, whole; `None` when it is absent, damaged, or longer than `limit`.
fn read_entry(zip: &mut ZipArchive<BufReader<File>>, name: &str, limit: u64) -> Option<Vec<u8>> {
    let entry = zip.by_name(name).ok()?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a longer entry from a fitting one, whatever the directory claims.
    entry.take(limit.saturating_add(1)).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= limit).then_some(bytes)
}

/// Copies a strided view into row-major order; `None` when the view leaves its storage.
fn gather(storage: &[f32], tensor: &pickle::TensorRef) -> Option<Vec<f32>> {
    let count = tensor.shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size))?;
    if count == 0 {
        return Some(Vec::new());
    }
    let mut last = tensor.offset;
    for (&size, &stride) in tensor.shape.iter().zip(&tensor.stride) {
        last = last.checked_add((size - 1).checked_mul(stride)?)?;
    }
    if last >= storage.len() || tensor.shape.len() != tensor.stride.len() {
        return None;
    }
    // A view repeats its storage only through a zero stride; official checkpoints never do, and a crafted one must not
    // blow a few bytes up to terabytes.
    if count > storage.len() {
        return None;
    }
    if is_contiguous(tensor) {
        return Some(storage[tensor.offset..tensor.offset + count].to_vec());
    }
    let mut index = vec![0usize; tensor.shape.len()];
    let mut data = Vec::with_capacity(count);
    for _ in 0..count {
        let at: usize = index.iter().zip(&tensor.stride).map(|(i, stride)| i * stride).sum();
        data.push(storage[tensor.offset + at]);
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            if index[axis] < tensor.shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    Some(data)
}

fn is_contiguous(tensor: &pickle::TensorRef) -> bool {
    let mut expected = 1;
    tensor.shape.iter().zip(&tensor.stride).rev().all(|(&size, &stride)| {
        let fits = size == 1 || stride == expected;
        expected *= size;
        fits
    })
}
