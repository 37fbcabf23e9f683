//! Safetensors files: one, or several with the index that Hugging Face writes beside them.
//! Format: <https://github.com/huggingface/safetensors>.

use super::{Dtype, Tensor, absent};
use crate::Error;
use memmap2::Mmap;
use safetensors::tensor::{Metadata, SafeTensors};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
};

const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";

pub(super) struct Files {
    shards: Vec<Shard>,
}

struct Shard {
    map: Mmap,
    /// Where the tensors begin: eight bytes of length, then the header.
    data: usize,
    metadata: Metadata,
}

impl Files {
    pub(super) fn open(path: &Path) -> Result<Files, Error> {
        Ok(Files { shards: vec![Shard::open(path)?] })
    }

    /// Opens an index file, or a folder with an index or a single file in it.
    pub(super) fn open_sharded(path: &Path) -> Result<Files, Error> {
        let index = match path.is_dir() {
            true if path.join(INDEX).is_file() => path.join(INDEX),
            true if path.join(SINGLE).is_file() => return Files::open(&path.join(SINGLE)),
            true => {
                return Err(not(path, format!("the folder has neither {INDEX} nor {SINGLE}")));
            }
            false => path.to_path_buf(),
        };
        let text = std::fs::read_to_string(&index).map_err(Error::io(&index))?;
        let parsed: Index =
            serde_json::from_str(&text).map_err(|error| not(&index, format!("as an index: {error}")))?;
        let folder = index.parent().unwrap_or(Path::new("."));
        let names: BTreeSet<&String> = parsed.weight_map.values().collect();
        let shards = names
            .into_iter()
            .map(|name| match Path::new(name).components().collect::<Vec<_>>()[..] {
                // An index may only name its neighbours.
                [std::path::Component::Normal(_)] => Shard::open(&folder.join(name)),
                _ => Err(not(&index, format!("shard {name:?} is not a plain file name"))),
            })
            .collect::<Result<_, _>>()?;
        Ok(Files { shards })
    }

    pub(super) fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let all = self.shards.iter().flat_map(|shard| shard.metadata.tensors());
        all.map(|(name, info)| (name, info.shape.clone())).collect()
    }

    pub(super) fn read(&self, name: &str) -> Result<Tensor, Error> {
        let found = self.shards.iter().find_map(|shard| shard.metadata.info(name).map(|info| (shard, info)));
        let (shard, info) = found.ok_or_else(|| absent(name))?;
        let dtype = match info.dtype {
            safetensors::Dtype::F64 => Dtype::F64,
            safetensors::Dtype::F32 => Dtype::F32,
            safetensors::Dtype::F16 => Dtype::F16,
            safetensors::Dtype::BF16 => Dtype::Bf16,
            other => {
                return Err(Error::Tensor { name: name.into(), reason: format!("type {other:?} is no float") });
            }
        };
        // The header was checked against the file's length when it was opened.
        let bytes = &shard.map[shard.data + info.data_offsets.0..shard.data + info.data_offsets.1];
        Ok(Tensor { shape: info.shape.clone(), data: dtype.to_f32(bytes) })
    }
}

impl Shard {
    fn open(path: &Path) -> Result<Shard, Error> {
        let file = File::open(path).map_err(Error::io(path))?;
        // SAFETY: the map is read-only; a file that another process shortens meanwhile is the user's to avoid, as with any
        // memory-mapped checkpoint.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path))?;
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|error| not(path, error.to_string()))?;
        Ok(Shard { map, data: header + 8, metadata })
    }
}

#[derive(serde::Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

fn not(path: &Path, reason: String) -> Error {
    Error::NotACheckpoint { path: PathBuf::from(path), reason }
}
