//! What the end-to-end tests share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

pub mod files;
pub mod heads;
pub mod pairs;
pub mod parity;
pub mod photos;
pub mod postgres;
pub mod process;
pub mod service;
pub mod spair_tree;
pub mod train;

use homolog_backbone::export::Options;
use homolog_core::{
    bundle::{Feature, Precision, Provenance},
    geometry::FitMode,
};
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A file of `tests/golden`.
pub fn golden(name: &str) -> PathBuf {
    root().join("tests/golden").join(name)
}

/// Real photos and annotations, where this machine has them (`HOMOLOG_SHARED`, or `../shared/data` beside the repository).
pub fn shared(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("HOMOLOG_SHARED").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let path = folder.join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there (set HOMOLOG_SHARED to the folder of shared data)", path.display());
    None
}

/// A tensor of a safetensors file as fp32, with its shape.
pub fn tensor(path: &Path, name: &str) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let view = tensors.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    let data = view.data();
    let values = match view.dtype() {
        safetensors::Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        safetensors::Dtype::F16 => {
            data.as_chunks().0.iter().map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect()
        }
        safetensors::Dtype::BF16 => {
            data.as_chunks().0.iter().map(|bytes| half::bf16::from_le_bytes(*bytes).to_f32()).collect()
        }
        other => panic!("{name} is {other:?}"),
    };
    (view.shape().to_vec(), values)
}

/// Export options of a test: everything plain.
pub fn options(split: usize, feature: Feature, precision: Precision) -> Options {
    Options {
        split: Some(split),
        feature,
        precision,
        fit: FitMode::Squash,
        resolutions: vec![70],
        default_resolution: None,
        description: "a test".into(),
        provenance: Provenance {
            checkpoint: "golden".into(),
            checkpoint_sha256: None,
            licence: "MIT".into(),
            dataset: None,
            recipe: None,
            seed: None,
            adapter: None,
            made_by: "a test".into(),
        },
        adapter: None,
    }
}
