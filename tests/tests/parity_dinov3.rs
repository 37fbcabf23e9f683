//! The DINOv3 graphs against the official formula on tiny networks: every naming, grid, feature and precision, and what a
//! checkpoint may hold besides. `tests/reference/make_golden_dinov3.py` made the expected tensors.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{
    Error, Family, Mlp,
    catalog::{self, Network, Origin},
    checkpoint::{Checkpoint, Tensor},
    dinov3,
};
use homolog_core::bundle::{Feature, Precision};
use homolog_tests::parity::{Tiny, assert_below};
use std::collections::BTreeMap;

// DINOv2's epsilon in the norms, 1e-6, would come out at 7e-6, and fp32 periods of the rotary positions at 4e-4.
const FP32: f64 = 2e-6;
// Products of 8 bits over so few channels, where nothing averages out.
const INT8: f64 = 5e-2;
const NAMINGS: [&str; 3] = ["original.pth", "hub.safetensors", "transformers5.safetensors"];

fn tiny(folder: &'static str, mlp: Mlp, hidden: usize) -> Tiny {
    let config = dinov3::Config { patch: 4, width: 24, depth: 2, heads: 2, mlp, hidden, registers: 4 };
    Tiny {
        network: Network {
            name: "tiny",
            family: Family::DinoV3(config),
            resolution: 16,
            feature: Feature::PreNorm,
            licence: "MIT",
            origin: Origin::None,
        },
        patch: 4,
        folder,
        inputs: "dinov3-inputs.safetensors",
        sizes: &[(16, 16), (20, 20), (12, 20), (28, 12), (4, 4)],
    }
}

fn plain() -> Tiny {
    tiny("dinov3-plain", Mlp::Gelu, 32)
}

fn swiglu() -> Tiny {
    tiny("dinov3-swiglu", Mlp::SwiGlu, 24)
}

/// The original checkpoint in memory, to be changed.
fn tensors(tiny: &Tiny) -> BTreeMap<String, Tensor> {
    let checkpoint = tiny.checkpoint("original.pth");
    checkpoint.shapes().keys().map(|name| (name.clone(), checkpoint.read(name).unwrap())).collect()
}

fn postnorm_errors(tiny: &Tiny, tensors: BTreeMap<String, Tensor>) -> Vec<f64> {
    tiny.errors(&Checkpoint::from_tensors(tensors), 1, Feature::PostNorm, Precision::Fp32)
}

fn refusal(tiny: &Tiny, tensors: BTreeMap<String, Tensor>) -> Error {
    tiny.network.family.resolve(&Checkpoint::from_tensors(tensors), "tiny").err().expect("it must be refused")
}

#[test]
fn every_naming_gives_the_official_descriptors() {
    for tiny in [plain(), swiglu()] {
        for name in NAMINGS {
            assert_below(&tiny.errors(&tiny.checkpoint(name), 1, Feature::PostNorm, Precision::Fp32), FP32);
        }
    }
}

#[test]
fn features_before_the_norm_are_the_official_ones() {
    for tiny in [plain(), swiglu()] {
        let checkpoint = tiny.checkpoint("original.pth");
        assert_below(&tiny.errors(&checkpoint, 1, Feature::PreNorm, Precision::Fp32), FP32);
    }
}

#[test]
fn the_split_changes_nothing() {
    let tiny = plain();
    let checkpoint = tiny.checkpoint("original.pth");
    for split in [0, 2] {
        for feature in [Feature::PreNorm, Feature::PostNorm] {
            assert_below(&tiny.errors(&checkpoint, split, feature, Precision::Fp32), FP32);
        }
    }
}

#[test]
fn half_precision_stays_within_a_hundredth() {
    for tiny in [plain(), swiglu()] {
        tiny.assert_half(&[Feature::PreNorm, Feature::PostNorm], FP32);
    }
}

#[test]
fn eight_bits_stay_near() {
    for tiny in [plain(), swiglu()] {
        tiny.assert_int8(&[Feature::PreNorm, Feature::PostNorm], INT8);
    }
}

#[test]
fn the_graphs_take_any_batch() {
    for tiny in [plain(), swiglu()] {
        assert_below(&tiny.batch_errors(&tiny.checkpoint("original.pth"), (12, 20)), FP32);
    }
}

#[test]
fn what_an_original_file_has_for_a_key_bias_is_not_read() {
    let tiny = plain();
    let mut tensors = tensors(&tiny);
    for block in 0..2 {
        tensors.get_mut(&format!("blocks.{block}.attn.qkv.bias")).unwrap().data[24..48].fill(f32::NAN);
        tensors.get_mut(&format!("blocks.{block}.attn.qkv.bias_mask")).unwrap().data[24..48].fill(f32::NAN);
    }
    assert_below(&postnorm_errors(&tiny, tensors), FP32);
}

#[test]
fn a_file_without_masks_mask_token_or_periods_is_as_good() {
    let tiny = plain();
    let mut tensors = tensors(&tiny);
    tensors.retain(|name, _| !(name.ends_with("bias_mask") || name == "mask_token" || name == "rope_embed.periods"));
    assert_below(&postnorm_errors(&tiny, tensors), FP32);
}

#[test]
fn the_periods_of_the_file_are_used() {
    let tiny = plain();
    let mut tensors = tensors(&tiny);
    let periods = &mut tensors.get_mut("rope_embed.periods").unwrap().data;
    // As fp32 would have them: 100^(1/3) is 4.6416, and bfloat16 has 4.65625.
    *periods = vec![1.0, 4.641_589, 21.544_348];
    let errors = postnorm_errors(&tiny, tensors);
    assert!(errors.iter().any(|error| *error > 1e-4), "the periods were not taken: {errors:?}");
}

#[test]
fn periods_that_are_none_are_refused() {
    let tiny = plain();
    let mut tensors = tensors(&tiny);
    tensors.get_mut("rope_embed.periods").unwrap().data[1] = 0.0;
    let checkpoint = Checkpoint::from_tensors(tensors);
    let folder = tempfile::tempdir().unwrap();
    let options = homolog_tests::options(1, Feature::PostNorm, Precision::Fp32);
    let options = homolog_backbone::export::Options { resolutions: vec![16], ..options };
    let out = folder.path().join("tiny");
    let error = homolog_backbone::export::export(&tiny.network, &checkpoint, &out, &options, |_| {}).err().unwrap();
    assert!(error.to_string().contains("rope_embed.periods"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing half-written stays");
}

#[test]
fn missing_and_extra_tensors_are_listed_by_name() {
    let tiny = plain();
    let mut tensors = tensors(&tiny);
    tensors.remove("blocks.1.ls1.gamma");
    tensors.insert("head.weight".into(), Tensor::new(vec![1], vec![0.0]).unwrap());
    let Error::Mismatch { missing, extra, misshapen, .. } = refusal(&tiny, tensors) else { panic!("a mismatch") };
    assert_eq!((missing, extra), (vec!["blocks.1.ls1.gamma".to_owned()], vec!["head.weight".to_owned()]));
    assert!(misshapen.is_empty(), "{misshapen:?}");
}

#[test]
fn a_swiglu_checkpoint_is_not_taken_for_the_plain_network() {
    let Error::Mismatch { missing, extra, .. } = refusal(&plain(), tensors(&swiglu())) else { panic!("a mismatch") };
    assert!(missing.contains(&"blocks.0.mlp.fc1.weight".to_owned()), "{missing:?}");
    assert!(extra.contains(&"blocks.0.mlp.w1.weight".to_owned()), "{extra:?}");
}

#[test]
fn a_dinov2_checkpoint_is_refused() {
    let checkpoint = Checkpoint::open(&homolog_tests::golden("dinov2-reg4/original.pth")).unwrap();
    let error = plain().network.family.resolve(&checkpoint, "tiny").err().expect("it must be refused");
    assert!(matches!(error, Error::UnknownNaming { .. }), "{error}");
}

#[test]
fn the_catalogue_has_the_released_sizes() {
    for (name, parameters) in [("vits16", 21_600_768), ("vits16plus", 28_697_088), ("vitb16", 85_668_864)] {
        let network = catalog::find(&format!("dinov3-{name}")).unwrap();
        network.family.check().unwrap();
        assert_eq!(network.family.features()[0], Feature::PostNorm);
        let counts = network.family.original_shapes().into_values().map(|shape| shape.iter().product::<usize>());
        assert_eq!(counts.sum::<usize>(), parameters, "{name}");
    }
}
