//! The losses alone.

use crate::{
    course::{Course, assert_near},
    golden::{TOTAL, batch, training},
};
use homolog_adapt::{Batch, Losses};
use homolog_backbone::{
    Trained,
    checkpoint::Tensor,
    onnx::{GraphBuilder, proto::data_type},
};
use homolog_core::{bundle::Precision, geometry::Grid};
use homolog_train::training::{graph::TrainingGraph, step::Input};

/// Losses over descriptors that are trained themselves.
fn over(
    descriptors: &Tensor,
    channels: usize,
    losses: &Losses,
    batch: Batch,
    classes: usize,
    first: &[(String, Tensor)],
) -> Course {
    let folder = tempfile::tempdir().unwrap();
    let mut graph = GraphBuilder::create(folder.path(), "training", Precision::Fp32).unwrap();
    graph.train(Trained::default());
    // a network's inputs, which nothing reads
    graph.input("tokens", data_type::FLOAT, &[("images", -1), ("tokens", -1), ("width", 1)]);
    graph.input("grid", data_type::INT64, &[("axes", 2)]);
    let value = graph.parameter("descriptors", descriptors);
    let graph = TrainingGraph::over(graph, folder.path(), (&value, channels), batch.grid, losses, classes).unwrap();
    Course::new(graph, losses.clone(), Input::Tokens, batch, first)
}

/// One loss over descriptors that are trained themselves.
fn assert_loss(name: &str, losses: Losses) {
    let golden = training("losses");
    let batch = batch(&golden, None, vec![0.0; 3]);
    let descriptors = golden.read("descriptors").unwrap();
    let channels = descriptors.shape[2];
    let shape = vec![batch.images, batch.grid.height, batch.grid.width, channels];
    let descriptors = Tensor::new(shape, descriptors.data).unwrap();

    let mut course = over(&descriptors, channels, &losses, batch, 0, &[]);
    let found = course.run();
    let expected = golden.read(&format!("loss.{name}")).unwrap().data[0];
    eprintln!("{name}: {} {expected}", found.loss);
    assert_near(name, found.loss, expected);
    for (part, found) in found.parts {
        assert_near(part, found, golden.read(&format!("loss.{part}")).unwrap().data[0]);
    }
    let trained = if losses.contrastive > 0.0 { vec!["descriptors", "logit_scale"] } else { vec!["descriptors"] };
    let expected = trained.into_iter().map(|parameter| {
        let gradient = golden.read(&format!("gradient.{name}.{parameter}")).unwrap();
        (parameter.to_owned(), gradient)
    });
    course.assert_gradients(name, &expected.collect::<Vec<_>>());
}

const NONE: Losses = Losses { cross_entropy: 0.0, soft_argmax: 0.0, contrastive: 0.0, ..TOTAL };

#[test]
fn the_smoothed_cross_entropy_is_pytorchs() {
    assert_loss("cross_entropy", Losses { cross_entropy: 1.0, ..NONE });
}

#[test]
fn the_soft_argmax_distance_is_pytorchs() {
    assert_loss("soft_argmax", Losses { soft_argmax: 1.0, ..NONE });
}

#[test]
fn the_contrastive_loss_is_pytorchs() {
    assert_loss("contrastive", Losses { contrastive: 1.0, ..NONE });
}

#[test]
fn a_weighted_sum_of_losses_is_pytorchs() {
    assert_loss("total", TOTAL);
}

#[test]
fn the_loss_over_prototypes_is_pytorchs_and_tokens_of_no_known_class_take_no_part() {
    let golden = training("prototypes");
    let read = |name: &str| golden.read(name).unwrap();
    let size = read("grid").data;
    let grid = Grid::new(size[0] as usize, size[1] as usize);
    let (descriptors, prototypes) = (read("descriptors"), read("prototypes"));
    let [images, _, channels] = descriptors.shape[..] else { panic!("{:?}", descriptors.shape) };
    let descriptors = Tensor::new(vec![images, grid.height, grid.width, channels], descriptors.data).unwrap();
    let known = |class: f32| (class >= 0.0).then_some(class as u32);
    let classes = read("classes").data.into_iter().map(known).collect();
    let pairs = batch(&training("losses"), None, Vec::new()).pairs;
    let batch = Batch { images, inputs: vec![0.0; images], grid, pairs, classes };
    let losses = Losses { prototypes: 1.0, prototype_temperature: read("temperature").data[0], ..NONE };
    let count = prototypes.shape[0];
    let mut course = over(&descriptors, channels, &losses, batch, count, &[("prototypes".into(), prototypes)]);
    assert_near("prototypes", course.run().loss, read("loss").data[0]);
    let gradients =
        ["descriptors", "prototypes"].map(|name| (name.to_owned(), golden.read(&format!("gradient.{name}")).unwrap()));
    course.assert_gradients("prototypes", &gradients);
}
