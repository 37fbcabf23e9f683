//! A bottleneck over frozen descriptors.

use crate::{
    course::{Course, assert_near},
    golden::{DINOV2, TOTAL, Tiny, batch, folder, training},
};
use homolog_adapt::Losses;
use homolog_backbone::{Adapter, Family, Trained, checkpoint::Checkpoint, dinov2};
use homolog_core::bundle::Feature;
use homolog_train::training::{
    graph::{Design, TrainingGraph},
    step::Input,
};

const LOSSES: Losses = Losses { cross_entropy: 1.0, soft_argmax: 0.0, contrastive: 1.0, ..TOTAL };

fn assert_adapter(name: &str, file: &str) {
    let golden = training("adapters");
    let input = golden.read(&format!("{name}.input")).unwrap();
    let [images, _, channels] = input.shape[..] else { panic!("{:?}", input.shape) };
    // As the tokens of a network without a block, whose first is no descriptor.
    let tokens = input.data.chunks(input.data.len() / images).flat_map(|image| [&vec![9.0; channels], image].concat());
    let batch = batch(&golden, None, tokens.collect());
    let prefix = format!("{name}.gradient.");
    let names = golden.shapes().keys().filter_map(|name| name.strip_prefix(&prefix));
    let expected: Vec<_> = names
        .map(|name| {
            let gradient = golden.read(&format!("{prefix}{name}")).unwrap();
            (name.replace("bottleneck_layers.0.0.", "adapter."), gradient)
        })
        .collect();
    let adapter = Checkpoint::open(&folder().join("heads").join(file)).unwrap();
    let adapter = Adapter::open(&adapter, channels).unwrap();
    let tiny = Tiny::open("dinov2-plain");
    let design = Design {
        family: Family::DinoV2(dinov2::Config { width: channels, ..DINOV2 }),
        frozen: Some(DINOV2.depth),
        feature: Feature::PreNorm,
        trained: Trained { weights: expected.iter().map(|(name, _)| name.clone()).collect(), lora: None },
        adapter: Some(&adapter),
        losses: &LOSSES,
        grid: batch.grid,
        classes: 0,
    };
    let folder = tempfile::tempdir().unwrap();
    let graph = TrainingGraph::write(folder.path(), &tiny.weights(), &design).unwrap();
    let mut course = Course::new(graph, LOSSES, Input::Tokens, batch, &[]);
    assert_near(name, course.run().loss, golden.read(&format!("{name}.loss")).unwrap().data[0]);
    course.assert_gradients(name, &expected);
}

#[test]
fn a_bottleneck_with_a_shortcut_of_its_own_trains_as_in_pytorch() {
    assert_adapter("narrow", "narrow.pth");
}

#[test]
fn a_bottleneck_beside_the_identity_trains_as_in_pytorch() {
    assert_adapter("identity", "identity.safetensors");
}
