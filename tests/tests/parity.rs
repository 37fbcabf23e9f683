//! Our graphs against the official formula on tiny networks: every naming, size, feature and storage.
//! `tests/reference/make_golden.py` made the expected tensors; `make parity` does the same at full size.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{Family, catalog::Network, dinov2, onnx::Storage};
use homolog_core::bundle::{Bundle, Feature};
use homolog_tests::{assert_below, export, golden, options, tensor};
use homolog_train::verify::relative_error;
use std::path::Path;

const SIZES: [(usize, usize); 5] = [(70, 70), (98, 98), (42, 56), (84, 140), (70, 84)];

fn network(registers: usize) -> Network {
    let config = dinov2::Config { patch: 14, width: 16, depth: 3, heads: 2, hidden: 64, registers, position_grid: 5 };
    Network { name: "tiny", family: Family::DinoV2(config), resolution: 70, licence: "MIT", url: None }
}

/// Relative errors of one export at all sizes, every image of a batch by itself.
fn errors(registers: usize, checkpoint: &str, split: usize, feature: Feature, storage: Storage) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let variant = if registers == 0 { "dinov2-plain" } else { "dinov2-reg4" };
    let out = folder.path().join("tiny");
    export(&network(registers), &golden(&format!("{variant}/{checkpoint}")), &out, &options(split, feature, storage));
    let cases = golden(&format!("{variant}/cases.safetensors"));
    let errors = homolog_tests::errors(&out, &golden("dinov2-inputs.safetensors"), &cases, &SIZES);
    eprintln!("{variant} {checkpoint} split {split} {feature:?} {storage:?}: {errors:.1?}");
    errors
}

// 2e-5, not the 1e-4 that was asked for: a tanh GELU in place of the exact one would pass at 1e-4.
const FP32: f64 = 2e-5;

#[test]
fn every_naming_of_the_plain_network_gives_the_official_descriptors() {
    for checkpoint in ["original.pth", "hub.safetensors", "transformers5.safetensors"] {
        assert_below(&errors(0, checkpoint, 1, Feature::PostNorm, Storage::Fp32), FP32);
    }
}

#[test]
fn every_naming_of_the_register_network_gives_the_official_descriptors() {
    for checkpoint in ["original.pth", "hub", "hub/model.safetensors.index.json", "transformers5.safetensors"] {
        assert_below(&errors(4, checkpoint, 1, Feature::PostNorm, Storage::Fp32), FP32);
    }
}

#[test]
fn features_before_the_norm_are_the_official_ones() {
    for registers in [0, 4] {
        assert_below(&errors(registers, "original.pth", 1, Feature::PreNorm, Storage::Fp32), FP32);
    }
}

#[test]
fn the_split_changes_nothing() {
    for split in [0, 2, 3] {
        for feature in [Feature::PreNorm, Feature::PostNorm] {
            assert_below(&errors(0, "original.pth", split, feature, Storage::Fp32), FP32);
        }
    }
}

#[test]
fn weights_stored_as_fp16_stay_within_a_hundredth() {
    for registers in [0, 4] {
        let errors = errors(registers, "original.pth", 1, Feature::PostNorm, Storage::Fp16);
        assert_below(&errors, 1e-2);
        // It must show that weights were rounded, or the test compares fp32 with itself.
        assert!(errors.iter().any(|error| *error > FP32));
    }
}

#[test]
fn the_graphs_take_any_batch() {
    use ort::{session::builder::SessionBuilder, value::Tensor};
    homolog_engine::library::find().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("tiny");
    export(&network(4), &golden("dinov2-reg4/original.pth"), &out, &options(1, Feature::PostNorm, Storage::Fp32));
    let environment = homolog_engine::library::environment().unwrap();
    let load = |path: &Path| SessionBuilder::new(&environment).unwrap().commit_from_file(path).unwrap();
    let bundle = Bundle::open(&out).unwrap();
    let (mut backbone, mut head) = (load(&bundle.backbone()), load(&bundle.head()));

    let cases = golden("dinov2-reg4/cases.safetensors");
    let (shape, input) = tensor(&golden("dinov2-inputs.safetensors"), "42x56.input");
    assert_eq!(shape, [2, 3, 42, 56]);
    let image = Tensor::from_array((shape, input)).unwrap();
    let mut outputs = backbone.run(ort::inputs!["image" => image]).unwrap();
    let tokens = outputs.remove("tokens").unwrap();
    let (expected_shape, expected) = tensor(&cases, "42x56.tokens");
    let (found_shape, found) = tokens.try_extract_tensor::<f32>().unwrap();
    assert_eq!(found_shape.iter().map(|size| *size as usize).collect::<Vec<_>>(), expected_shape);
    assert!(relative_error(found, &expected).unwrap() <= FP32);

    let grid = Tensor::from_array(([2usize], vec![3i64, 4])).unwrap();
    let outputs = head.run(ort::inputs!["tokens" => tokens, "grid" => grid]).unwrap();
    let (found_shape, found) = outputs["descriptors"].try_extract_tensor::<f32>().unwrap();
    assert_eq!(**found_shape, [2, 3, 4, 16]);
    assert!(relative_error(found, &tensor(&cases, "42x56.postnorm").1).unwrap() <= FP32);
}
