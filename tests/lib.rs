//! What the end-to-end tests share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

pub mod service;

use homolog_backbone::{catalog::Network, checkpoint::Checkpoint, export::Options, onnx::Storage};
use homolog_core::{
    bundle::{Bundle, Feature, Manifest, Provenance},
    geometry::{FitMode, Size},
    image::Pixels,
};
use homolog_engine::{Engine, EngineConfig, ProviderChoice};
use homolog_train::verify::relative_error;
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
pub fn options(split: usize, feature: Feature, storage: Storage) -> Options {
    Options {
        split: Some(split),
        feature,
        storage,
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
            made_by: "a test".into(),
        },
    }
}

/// Exports a checkpoint file into `folder/name`.
pub fn export(network: &Network, checkpoint: &Path, out: &Path, options: &Options) -> Manifest {
    let checkpoint = Checkpoint::open(checkpoint).unwrap();
    homolog_backbone::export::export(network, &checkpoint, out, options, |_| {}).unwrap()
}

/// Relative errors of a bundle's descriptors to the golden `cases`, at each size (height and width in pixels) of `inputs`, every
/// image of a batch by itself.
pub fn errors(bundle: &Path, inputs: &Path, cases: &Path, sizes: &[(usize, usize)]) -> Vec<f64> {
    let bundle = Bundle::open(bundle).unwrap();
    let (id, patch) = (bundle.manifest().id.clone(), bundle.manifest().backbone.patch as usize);
    let feature = match bundle.manifest().feature {
        Feature::PreNorm => "prenorm",
        Feature::PostNorm => "postnorm",
        Feature::Neck => "neck",
    };
    let config = EngineConfig { provider: ProviderChoice::Cpu, workers: 1, threads: 1, queue: 8 };
    let engine = Engine::start(&config, vec![bundle]).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut errors = Vec::new();
    for (height, width) in sizes {
        let (shape, input) = tensor(inputs, &format!("{height}x{width}.input"));
        let (_, expected) = tensor(cases, &format!("{height}x{width}.{feature}"));
        let (one_in, one_out) = (input.len() / shape[0], expected.len() / shape[0]);
        for (input, expected) in input.chunks(one_in).zip(expected.chunks(one_out)) {
            let pixels = Pixels::from_chw(Size::new(*width as u32, *height as u32), input.to_vec()).unwrap();
            let map = runtime.block_on(engine.describe(engine.model(&id).unwrap(), pixels)).unwrap();
            assert_eq!((map.grid().height, map.grid().width), (height / patch, width / patch));
            errors.push(relative_error(map.data(), expected).unwrap());
        }
    }
    errors
}

/// Requires every error to be at most `bound`.
pub fn assert_below(errors: &[f64], bound: f64) {
    assert!(errors.iter().all(|error| *error <= bound), "{errors:?} above {bound}");
}
