//! Our graphs against the official formula on tiny networks: every naming, size, feature and precision.
//! `tests/reference/make_golden.py` made the expected tensors; `make parity` does the same at full size.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{
    Family, Mlp,
    catalog::{Network, Origin},
    dinov2,
};
use homolog_core::bundle::{Feature, Precision};
use homolog_tests::parity::{Tiny, assert_below};

// 2e-5, not the 1e-4 that was asked for: a tanh GELU in place of the exact one would pass at 1e-4.
const FP32: f64 = 2e-5;
// Products of 8 bits over so few channels, where nothing averages out.
const INT8: f64 = 5e-2;

fn tiny(folder: &'static str, config: dinov2::Config) -> Tiny {
    let family = Family::DinoV2(config);
    Tiny {
        network: Network {
            name: "tiny",
            family,
            resolution: 70,
            feature: Feature::PreNorm,
            licence: "MIT",
            origin: Origin::None,
        },
        patch: 14,
        folder,
        inputs: "dinov2-inputs.safetensors",
        sizes: &[(70, 70), (98, 98), (42, 56), (84, 140), (70, 84)],
    }
}

const PLAIN: dinov2::Config = dinov2::Config {
    patch: 14,
    width: 16,
    depth: 3,
    heads: 2,
    mlp: Mlp::Gelu,
    hidden: 64,
    registers: 0,
    position_grid: 5,
};

fn plain() -> Tiny {
    tiny("dinov2-plain", PLAIN)
}

fn registers() -> Tiny {
    tiny("dinov2-reg4", dinov2::Config { registers: 4, ..PLAIN })
}

fn swiglu() -> Tiny {
    tiny("dinov2-swiglu", dinov2::Config { width: 8, depth: 2, mlp: Mlp::SwiGlu, hidden: 24, ..PLAIN })
}

fn assert_namings(tiny: &Tiny, checkpoints: &[&str]) {
    for name in checkpoints {
        assert_below(&tiny.errors(&tiny.checkpoint(name), 1, Feature::PostNorm, Precision::Fp32), FP32);
    }
}

#[test]
fn every_naming_of_the_plain_network_gives_the_official_descriptors() {
    assert_namings(&plain(), &["original.pth", "hub.safetensors", "transformers5.safetensors"]);
}

#[test]
fn every_naming_of_the_register_network_gives_the_official_descriptors() {
    let names = ["original.pth", "hub", "hub/model.safetensors.index.json", "transformers5.safetensors"];
    assert_namings(&registers(), &names);
}

#[test]
fn every_naming_of_the_swiglu_network_gives_the_official_descriptors() {
    assert_namings(&swiglu(), &["original.pth", "hub.safetensors", "transformers5.safetensors"]);
}

#[test]
fn features_before_the_norm_are_the_official_ones() {
    for tiny in [plain(), registers(), swiglu()] {
        let checkpoint = tiny.checkpoint("original.pth");
        assert_below(&tiny.errors(&checkpoint, 1, Feature::PreNorm, Precision::Fp32), FP32);
    }
}

#[test]
fn the_split_changes_nothing() {
    let tiny = plain();
    let checkpoint = tiny.checkpoint("original.pth");
    for split in [0, 2, 3] {
        for feature in [Feature::PreNorm, Feature::PostNorm] {
            assert_below(&tiny.errors(&checkpoint, split, feature, Precision::Fp32), FP32);
        }
    }
}

#[test]
fn half_precision_stays_within_a_hundredth() {
    for tiny in [plain(), registers(), swiglu()] {
        tiny.assert_half(&[Feature::PreNorm, Feature::PostNorm], FP32);
    }
}

#[test]
fn eight_bits_stay_near() {
    for tiny in [plain(), registers(), swiglu()] {
        tiny.assert_int8(&[Feature::PreNorm, Feature::PostNorm], INT8);
    }
}

#[test]
fn the_graphs_take_any_batch() {
    let tiny = registers();
    assert_below(&tiny.batch_errors(&tiny.checkpoint("original.pth"), (42, 56)), FP32);
}
