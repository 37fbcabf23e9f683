//! The last blocks, and what comes after them.

use crate::{
    course::Course,
    golden::{TOTAL, Tiny, batch, feature_name},
};
use homolog_backbone::Trained;
use homolog_core::{bundle::Feature, geometry::Grid};
use homolog_train::training::{
    graph::{Design, TrainingGraph},
    step::Input,
};

/// Trains what PyTorch trained under `prefix`, and requires its gradients and where they lead to.
fn assert_trained(tiny: &Tiny, prefix: &str, feature: Feature, frozen: Option<usize>, grid: Option<Grid>) {
    let what = format!("{} {prefix}", tiny.name);
    let expected = tiny.under(&format!("{prefix}.gradient."));
    let inputs = match frozen {
        Some(frozen) => tiny.read(&format!("tokens.{frozen}")),
        None => tiny.read(&format!("{prefix}.pixels")),
    };
    let input = if frozen.is_some() { Input::Tokens } else { Input::Image { patch: 14 } };
    let batch = batch(&tiny.golden, grid, inputs);
    let trained = Trained { weights: expected.iter().map(|(name, _)| name.clone()).collect(), lora: None };
    let design = Design {
        family: tiny.family,
        frozen,
        feature,
        trained,
        adapter: None,
        losses: &TOTAL,
        grid: batch.grid,
        classes: 0,
    };
    let folder = tempfile::tempdir().unwrap();
    let graph = TrainingGraph::write(folder.path(), &tiny.weights(), &design).unwrap();
    let mut course = Course::new(graph, TOTAL, input, batch, &[]);
    course.assert_gradients(&what, &expected);
    course.assert_course(&what, tiny, prefix);
}

/// Light fine-tuning of the last block and of the last two.
fn assert_finetuned(name: &'static str, features: &[Feature]) {
    let tiny = Tiny::open(name);
    for feature in features {
        for count in [1, 2] {
            let prefix = format!("finetune.{}.{count}", feature_name(*feature));
            assert_trained(&tiny, &prefix, *feature, Some(tiny.depth - count), None);
        }
    }
}

#[test]
fn the_last_blocks_of_a_dinov2_train_as_in_pytorch() {
    assert_finetuned("dinov2-plain", &[Feature::PreNorm, Feature::PostNorm]);
}

#[test]
fn the_last_blocks_of_a_dinov2_with_registers_train_as_in_pytorch() {
    assert_finetuned("dinov2-reg4", &[Feature::PostNorm]);
}

#[test]
fn the_last_blocks_of_a_dinov2_with_swiglu_train_as_in_pytorch() {
    assert_finetuned("dinov2-swiglu", &[Feature::PreNorm]);
}

#[test]
fn the_last_blocks_of_a_dinov3_train_as_in_pytorch() {
    assert_finetuned("dinov3-plain", &[Feature::PreNorm, Feature::PostNorm]);
}

#[test]
fn the_last_blocks_of_a_dinov3_with_swiglu_train_as_in_pytorch() {
    assert_finetuned("dinov3-swiglu", &[Feature::PostNorm]);
}

#[test]
fn a_whole_dinov2_trains_from_its_pixels_as_in_pytorch() {
    let tiny = Tiny::open("dinov2-plain");
    assert_trained(&tiny, "whole.70x70", Feature::PostNorm, None, Some(Grid::new(5, 5)));
    assert_trained(&tiny, "whole.56x70", Feature::PostNorm, None, None);
}

#[test]
fn a_whole_dinov2_with_registers_trains_from_its_pixels_as_in_pytorch() {
    assert_trained(&Tiny::open("dinov2-reg4"), "whole.56x70", Feature::PostNorm, None, None);
}

#[test]
fn the_last_blocks_of_a_sam_with_windows_train_as_in_pytorch() {
    assert_finetuned("sam-windows", &[Feature::PreNorm, Feature::Neck]);
}

#[test]
fn the_last_blocks_of_a_sam_with_one_window_over_all_train_as_in_pytorch() {
    assert_finetuned("sam-wide", &[Feature::Neck]);
}
