//! Low-rank matrices beside frozen products.

use crate::{
    course::Course,
    golden::{TOTAL, Tiny, batch, feature_name},
};
use homolog_backbone::{Lora, Trained, checkpoint::Tensor};
use homolog_core::bundle::Feature;
use homolog_train::training::{
    graph::{Design, TrainingGraph},
    step::Input,
};
use std::collections::BTreeSet;

/// Adapters as in `definitions.json` in the products that `matrices` name.
pub fn adapters(matrices: &[(String, Tensor)]) -> Lora {
    let modules: BTreeSet<String> =
        matrices.iter().filter_map(|(name, _)| Some(name.split_once(".lora_")?.0.to_owned())).collect();
    Lora { rank: 2, alpha: 4.0, has_dropout: false, modules }
}

fn assert_adapted(tiny: &Tiny, feature: Feature, blocks: &str, frozen: usize) {
    let prefix = format!("lora.{}.{blocks}", feature_name(feature));
    let what = format!("{} {prefix}", tiny.name);
    let expected = tiny.under(&format!("{prefix}.gradient."));
    let batch = batch(&tiny.golden, None, tiny.read(&format!("tokens.{frozen}")));
    let trained = Trained { weights: BTreeSet::new(), lora: Some(adapters(&expected)) };
    let design = Design {
        family: tiny.family,
        frozen: Some(frozen),
        feature,
        trained,
        adapter: None,
        losses: &TOTAL,
        grid: batch.grid,
        classes: 0,
    };
    let folder = tempfile::tempdir().unwrap();
    let graph = TrainingGraph::write(folder.path(), &tiny.weights(), &design).unwrap();
    let mut course = Course::new(graph, TOTAL, Input::Tokens, batch, &tiny.under("lora.initial."));
    course.assert_gradients(&what, &expected);
    course.assert_course(&what, tiny, &prefix);
}

/// Adapters in every product, of all blocks and of the last.
fn assert_network(name: &'static str, features: &[Feature]) {
    let tiny = Tiny::open(name);
    for feature in features {
        assert_adapted(&tiny, *feature, "all", 0);
        assert_adapted(&tiny, *feature, "last", tiny.depth - 1);
    }
}

#[test]
fn adapters_of_a_dinov2_train_as_in_pytorch() {
    assert_network("dinov2-plain", &[Feature::PreNorm, Feature::PostNorm]);
}

#[test]
fn adapters_of_a_dinov2_with_registers_train_as_in_pytorch() {
    assert_network("dinov2-reg4", &[Feature::PostNorm]);
}

#[test]
fn adapters_of_a_dinov2_with_swiglu_train_as_in_pytorch() {
    assert_network("dinov2-swiglu", &[Feature::PreNorm]);
}

#[test]
fn adapters_of_a_dinov3_train_as_in_pytorch() {
    assert_network("dinov3-plain", &[Feature::PreNorm, Feature::PostNorm]);
}

#[test]
fn adapters_of_a_dinov3_with_swiglu_train_as_in_pytorch() {
    assert_network("dinov3-swiglu", &[Feature::PostNorm]);
}

#[test]
fn adapters_of_a_sam_with_windows_train_as_in_pytorch() {
    assert_network("sam-windows", &[Feature::PreNorm, Feature::Neck]);
}

#[test]
fn adapters_of_a_sam_with_one_window_over_all_train_as_in_pytorch() {
    assert_network("sam-wide", &[Feature::Neck]);
}
