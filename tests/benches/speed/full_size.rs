//! ViT-B/14 with random weights: a checkpoint, and the bundle made of it.

use homolog_backbone::{
    catalog,
    checkpoint::Checkpoint,
    export::{self, Options},
    random,
};
use homolog_core::bundle::{Feature, Precision};
use homolog_tests::options;
use safetensors::tensor::{Dtype, TensorView};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Side of its input, px: 32 × 32 tokens.
pub const SIDE: u32 = 448;
/// Its id.
pub const ID: &str = "vitb14";

/// A folder with both; gone when dropped.
pub struct FullSize(TempDir);

impl FullSize {
    pub fn new() -> FullSize {
        let made = FullSize(tempfile::tempdir().unwrap());
        let network = catalog::find("dinov2-vitb14").unwrap();
        write(&random::weights(&network.family, 0), &made.weights());
        // of the file, as a person would
        export(&Checkpoint::open(&made.weights()).unwrap(), &made.models().join(ID), Precision::Fp32);
        made
    }

    /// The weights under their official names.
    pub fn weights(&self) -> PathBuf {
        self.0.path().join("weights.safetensors")
    }

    /// The folder of the bundle's folder.
    pub fn models(&self) -> PathBuf {
        self.0.path().join("models")
    }
}

/// Writes the bundle of ViT-B/14 with these weights.
pub fn export(weights: &Checkpoint, out: &Path, precision: Precision) {
    let network = catalog::find("dinov2-vitb14").unwrap();
    // what transformers calls its last hidden state
    let options = Options { resolutions: vec![SIDE], ..options(8, Feature::PostNorm, precision) };
    export::export(&network, weights, out, &options, |_| {}).unwrap();
}

fn write(checkpoint: &Checkpoint, path: &Path) {
    let bytes = |name: &String| {
        let tensor = checkpoint.read(name).unwrap();
        (name.clone(), tensor.shape, tensor.data.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>())
    };
    let tensors: Vec<_> = checkpoint.shapes().keys().map(bytes).collect();
    let views =
        tensors.iter().map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    safetensors::serialize_to_file(views, None, path).unwrap();
}
