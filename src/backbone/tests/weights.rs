//! A network's weights under the family's names, and back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{
    Family, Lora, Mlp, Weights,
    checkpoint::{Checkpoint, Tensor},
    dinov2, dinov3, lora_names, random, sam,
};
use std::collections::BTreeMap;

const DINOV2: Family = Family::DinoV2(dinov2::Config {
    patch: 2,
    width: 4,
    depth: 2,
    heads: 2,
    mlp: Mlp::SwiGlu,
    hidden: 6,
    registers: 1,
    position_grid: 2,
});
const DINOV3: Family =
    Family::DinoV3(dinov3::Config { patch: 2, width: 8, depth: 1, heads: 2, mlp: Mlp::Gelu, hidden: 6, registers: 1 });
const SAM: Family = Family::Sam(sam::Config {
    patch: 2,
    width: 4,
    depth: 2,
    heads: 2,
    hidden: 6,
    window: 2,
    global: &[1],
    position_grid: 4,
    neck: 3,
});

fn checkpoint(family: &Family) -> Checkpoint {
    random::weights(family, 7)
}

fn resolve<'a>(family: &Family, checkpoint: &'a Checkpoint) -> Weights<'a> {
    family.resolve(checkpoint, "tiny").unwrap()
}

fn read(checkpoint: &Checkpoint) -> BTreeMap<String, Tensor> {
    checkpoint.shapes().keys().map(|name| (name.clone(), checkpoint.read(name).unwrap())).collect()
}

#[test]
fn untouched_weights_are_the_checkpoint_again() {
    for family in [DINOV2, DINOV3, SAM] {
        let checkpoint = checkpoint(&family);
        assert_eq!(resolve(&family, &checkpoint).checkpoint().unwrap(), read(&checkpoint));
    }
}

#[test]
fn rows_that_no_weight_reads_are_zero_whatever_the_checkpoint_has_there() {
    let mut tensors = read(&checkpoint(&DINOV3));
    let name = "blocks.0.attn.qkv.bias";
    tensors.get_mut(name).unwrap().data[8..16].fill(f32::NAN);
    let checkpoint = Checkpoint::from_tensors(tensors);
    let again = resolve(&DINOV3, &checkpoint).checkpoint().unwrap();
    assert_eq!(again[name].data, [0.0; 24]);
}

#[test]
fn a_trained_weight_takes_the_checkpoints_place_and_its_rows() {
    let checkpoint = checkpoint(&DINOV2);
    let before = read(&checkpoint);
    let trained = |name: &str, shape: &[usize], value: f32| {
        let data = vec![value; shape.iter().product()];
        (name.to_owned(), Tensor::new(shape.to_vec(), data).unwrap())
    };
    let overrides = [trained("blocks.1.attn.k.weight", &[4, 4], 9.0), trained("blocks.0.mlp.w2.bias", &[6], 8.0)];
    let weights = resolve(&DINOV2, &checkpoint).with(overrides.into()).unwrap();
    assert_eq!(weights.get("blocks.1.attn.k.weight").unwrap().data, [9.0; 16]);
    let after = weights.checkpoint().unwrap();
    let (qkv, was) = (&after["blocks.1.attn.qkv.weight"], &before["blocks.1.attn.qkv.weight"]);
    assert_eq!(qkv.shape, was.shape);
    assert_eq!(
        (&qkv.data[..16], &qkv.data[16..32], &qkv.data[32..]),
        (&was.data[..16], &[9.0; 16][..], &was.data[32..])
    );
    let (w12, was) = (&after["blocks.0.mlp.w12.bias"], &before["blocks.0.mlp.w12.bias"]);
    assert_eq!((&w12.data[..6], &w12.data[6..]), (&was.data[..6], &[8.0; 6][..]));
    assert_eq!(after["blocks.0.attn.qkv.weight"], before["blocks.0.attn.qkv.weight"]);

    // and is itself a checkpoint of the network
    let again = Checkpoint::from_tensors(after);
    assert_eq!(resolve(&DINOV2, &again).get("blocks.1.attn.k.weight").unwrap().data, [9.0; 16]);
}

#[test]
fn a_weight_of_another_name_or_shape_is_refused() {
    let checkpoint = checkpoint(&DINOV2);
    for (name, shape) in [("logit_scale", vec![1]), ("blocks.0.attn.q.weight", vec![12, 4])] {
        let tensor = Tensor::new(shape.clone(), vec![0.0; shape.iter().product()]).unwrap();
        let error = resolve(&DINOV2, &checkpoint).with([(name.to_owned(), tensor)].into()).err().unwrap();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn low_rank_matrices_are_merged_as_their_product() {
    let checkpoint = checkpoint(&DINOV2);
    let weights = resolve(&DINOV2, &checkpoint);
    let module = "blocks.0.attn.v".to_owned();
    let lora = Lora { rank: 2, alpha: 3.0, has_dropout: false, modules: [module.clone()].into() };
    let [down, up] = lora_names(&module);
    let tensor = |shape: [usize; 2], data: &[f32]| Tensor::new(shape.into(), data.to_vec()).unwrap();
    let down = (down, tensor([2, 4], &[1.0, 0.0, 2.0, 0.0, 0.0, 1.0, 0.0, -1.0]));
    let up = (up, tensor([4, 2], &[1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 1.0, 1.0]));
    let merged = lora.merged(&weights, &[down.clone(), up].into()).unwrap();
    let name = "blocks.0.attn.v.weight";
    let change: Vec<f32> = merged[name]
        .data
        .iter()
        .zip(&weights.get(name).unwrap().data)
        .map(|(merged, before)| merged - before)
        .collect();
    // α / r = 1.5
    let expected = [1.5, 0.0, 3.0, 0.0, 0.0, 3.0, 0.0, -3.0, 0.0, 0.0, 0.0, 0.0, 1.5, 1.5, 3.0, -1.5];
    for (change, expected) in change.iter().zip(expected) {
        assert!((change - expected).abs() < 1e-6, "{change} {expected}");
    }
    assert!(lora.merged(&weights, &[down].into()).is_err_and(|error| error.to_string().contains("lora_B")));
}
