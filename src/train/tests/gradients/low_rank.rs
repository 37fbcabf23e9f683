//! What low-rank matrices do to descriptors, whatever they were trained on.

use crate::{
    golden::{TOTAL, Tiny, batch},
    lora::adapters,
};
use homolog_adapt::{Parameter, Parameters};
use homolog_backbone::{Trained, Weights, checkpoint::Tensor};
use homolog_core::bundle::Feature;
use homolog_engine::ProviderChoice;
use homolog_train::{
    training::{
        describe::Describer,
        graph::{Design, TrainingGraph},
        step::{Input, Step},
    },
    verify::relative_error,
};
use std::collections::BTreeMap;

const NETWORKS: [(&str, Feature); 4] = [
    ("dinov2-plain", Feature::PostNorm),
    ("dinov2-swiglu", Feature::PreNorm),
    ("dinov3-plain", Feature::PostNorm),
    ("sam-windows", Feature::Neck),
];

/// A design over all blocks of a tiny network.
fn design(tiny: &Tiny, feature: Feature, trained: Trained) -> Design<'static> {
    let batch = batch(&tiny.golden, None, Vec::new());
    Design {
        family: tiny.family,
        frozen: Some(0),
        feature,
        trained,
        adapter: None,
        losses: &TOTAL,
        grid: batch.grid,
        classes: 0,
    }
}

/// Matrices as golden tests begin with them: neither is zero.
fn matrices(tiny: &Tiny) -> Vec<(String, Tensor)> {
    tiny.under("lora.initial.")
}

fn parameters(tensors: &[(String, Tensor)]) -> Parameters {
    let one = |(name, tensor): &(String, Tensor)| Parameter {
        name: name.clone(),
        shape: tensor.shape.clone(),
        data: tensor.data.clone(),
        decay: false,
    };
    Parameters::new(tensors.iter().map(one).collect())
}

/// Descriptors of the first golden image.
fn described(tiny: &Tiny, weights: &Weights, design: &Design, parameters: &Parameters) -> Vec<f32> {
    let folder = tempfile::tempdir().unwrap();
    let mut describer = Describer::new(folder.path(), weights, design, ProviderChoice::Cpu, 1).unwrap();
    let tokens = tiny.golden.read("tokens.0").unwrap();
    let shape = [1, tokens.shape[1], tokens.shape[2]];
    let one = &tokens.data[..shape.iter().product::<usize>()];
    describer.run(parameters, &shape, one, design.grid).unwrap().data().to_vec()
}

#[test]
fn with_b_zero_no_descriptor_changes() {
    for (name, feature) in NETWORKS {
        let tiny = Tiny::open(name);
        let mut first = matrices(&tiny);
        let lora = Trained { lora: Some(adapters(&first)), ..Trained::default() };
        for (name, tensor) in &mut first {
            if name.ends_with(".lora_B.weight") {
                tensor.data.fill(0.0);
            }
        }
        let none = Parameters::new(Vec::new());
        let plain = described(&tiny, &tiny.weights(), &design(&tiny, feature, Trained::default()), &none);
        let adapted = described(&tiny, &tiny.weights(), &design(&tiny, feature, lora), &parameters(&first));
        assert_eq!(plain, adapted, "{name}");
    }
}

#[test]
fn merged_equals_unmerged() {
    for (name, feature) in NETWORKS {
        let tiny = Tiny::open(name);
        let first = matrices(&tiny);
        let lora = adapters(&first);
        let tensors: BTreeMap<String, Tensor> = first.iter().cloned().collect();
        let merged = tiny.weights().with(lora.merged(&tiny.weights(), &tensors).unwrap()).unwrap();
        let trained = Trained { lora: Some(lora), ..Trained::default() };
        let none = Parameters::new(Vec::new());
        let plain = described(&tiny, &tiny.weights(), &design(&tiny, feature, Trained::default()), &none);
        let apart = described(&tiny, &tiny.weights(), &design(&tiny, feature, trained), &parameters(&first));
        let merged = described(&tiny, &merged, &design(&tiny, feature, Trained::default()), &none);
        let error = relative_error(&merged, &apart).unwrap();
        assert!(error <= 1e-5, "{name}: {error:.1e}");
        assert!(relative_error(&plain, &apart).unwrap() > 1e-2, "{name}: the matrices do nothing");
    }
}

#[test]
fn dropout_is_decided_by_its_seed_and_vanishes_with_its_share() {
    for (name, feature) in NETWORKS {
        let tiny = Tiny::open(name);
        let first = matrices(&tiny);
        let batch = batch(&tiny.golden, None, tiny.read("tokens.0"));
        let run = |dropout: Option<f32>, seed: u64| {
            let mut lora = adapters(&first);
            lora.has_dropout = dropout.is_some();
            let folder = tempfile::tempdir().unwrap();
            let design = design(&tiny, feature, Trained { lora: Some(lora), ..Trained::default() });
            let graph = TrainingGraph::write(folder.path(), &tiny.weights(), &design).unwrap();
            let own: BTreeMap<&str, &Tensor> = first.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
            let begun: Vec<(String, Tensor)> = graph
                .parameters
                .iter()
                .map(|(name, tensor)| (name.clone(), (*own.get(name.as_str()).unwrap_or(&tensor)).clone()))
                .collect();
            let mut step =
                Step::load(graph, TOTAL, Input::Tokens, dropout.unwrap_or_default(), ProviderChoice::Cpu, 1).unwrap();
            step.run(&parameters(&begun), &batch, seed).unwrap()
        };
        let without = run(None, 0);
        assert_eq!(run(Some(0.0), 1), without, "{name}");
        assert_eq!(run(Some(0.5), 1), run(Some(0.5), 1), "{name}");
        let (one, other) = (run(Some(0.5), 1), run(Some(0.5), 2));
        assert!(one != other && one != without, "{name}");
        assert!(one.gradients.iter().flatten().all(|value| value.is_finite()), "{name}");
    }
}
