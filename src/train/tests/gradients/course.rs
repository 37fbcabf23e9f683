//! What is asked of a training graph: PyTorch's losses and gradients, and the weights that its optimiser lands on.

use crate::golden::Tiny;
use homolog_adapt::{AdamW, Batch, Gradients, Losses, Parameter, Parameters, optimiser};
use homolog_backbone::checkpoint::Tensor;
use homolog_engine::ProviderChoice;
use homolog_train::{
    training::{
        graph::TrainingGraph,
        step::{Input, Step},
    },
    verify::relative_error,
};
use std::collections::BTreeMap;

/// Of losses and of every gradient, as a whole tensor.
const GRADIENT: f64 = 1e-4;
/// Of weights after a few steps; PyTorch in single precision is as far from itself in double precision.
const FINAL: f64 = 5e-5;
/// Tokens that weight decay leaves alone though they have several axes.
const UNDECAYED: [&str; 4] = ["cls_token", "pos_embed", "register_tokens", "storage_tokens"];

/// A training graph with its parameters and the batch that it is run on.
pub struct Course {
    pub parameters: Parameters,
    step: Step,
    batch: Batch,
}

impl Course {
    /// Begins with the values of `first` where it has any.
    pub fn new(graph: TrainingGraph, losses: Losses, input: Input, batch: Batch, first: &[(String, Tensor)]) -> Course {
        let first: BTreeMap<&str, &Tensor> = first.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let parameters = graph.parameters.iter().map(|(name, tensor)| Parameter {
            name: name.clone(),
            shape: tensor.shape.clone(),
            data: first.get(name.as_str()).unwrap_or(&tensor).data.clone(),
            decay: tensor.shape.len() > 1 && !UNDECAYED.contains(&name.as_str()),
        });
        let parameters = Parameters::new(parameters.collect());
        let step = Step::load(graph, losses, input, 0.0, ProviderChoice::Cpu, 1).unwrap();
        Course { parameters, step, batch }
    }

    pub fn run(&mut self) -> Gradients {
        self.step.run(&self.parameters, &self.batch, 0).unwrap()
    }

    /// Requires every gradient that is expected, and no other.
    pub fn assert_gradients(&mut self, what: &str, expected: &[(String, Tensor)]) {
        let found = self.run();
        let names: Vec<&str> = self.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        let expected = by_name(expected);
        assert_eq!(
            names.iter().copied().collect::<std::collections::BTreeSet<_>>(),
            expected.keys().copied().collect()
        );
        let largest = expected.values().map(|tensor| length(&tensor.data)).fold(0.0, f64::max);
        let mut worst = (0.0, "");
        for (name, gradient) in names.into_iter().zip(&found.gradients) {
            let theirs = &expected[name].data;
            if length(theirs) < 1e-12 * largest {
                // nothing in exact arithmetic, so that what is left has no scale of its own
                assert!(length(gradient) <= 1e-6 * largest, "{what}: {name} {}", length(gradient));
                continue;
            }
            let error = relative_error(gradient, theirs).unwrap();
            if error > GRADIENT {
                eprintln!("{what}: {name} {error:.1e}");
            }
            if error > worst.0 {
                worst = (error, name);
            }
        }
        eprintln!("{what}: gradients to {:.1e} ({})", worst.0, worst.1);
        assert!(worst.0 <= GRADIENT, "{what}: {worst:?}");
    }

    /// Requires the losses on the way of AdamW's steps, the norms of the gradients, and where the weights end.
    pub fn assert_course(&mut self, what: &str, tiny: &Tiny, prefix: &str) {
        let losses = tiny.read(&format!("{prefix}.loss"));
        let norms = tiny.read(&format!("{prefix}.norm"));
        let mut adamw = AdamW::new(&self.parameters, [0.9, 0.999], 1e-8, 0.05);
        for (loss, norm) in losses.iter().zip(&norms) {
            let mut found = self.run();
            assert_near(what, found.loss, *loss);
            assert_near(what, optimiser::clip(&mut found.gradients, 1.0), *norm);
            adamw.step(&mut self.parameters, &found.gradients, 1e-3);
        }
        assert_near(what, self.run().loss, losses[norms.len()]);

        let expected = tiny.under(&format!("{prefix}.final."));
        let expected = by_name(&expected);
        let mut worst = (0.0, "");
        for parameter in self.parameters.iter().filter(|_| !expected.is_empty()) {
            // AdamW makes whole steps of what rounding leaves where there is no gradient
            if parameter.name.ends_with("attn.k.bias") {
                continue;
            }
            let error = relative_error(&parameter.data, &expected[parameter.name.as_str()].data).unwrap();
            if error > worst.0 {
                worst = (error, &parameter.name);
            }
        }
        eprintln!("{what}: weights after {} steps to {:.1e} ({})", norms.len(), worst.0, worst.1);
        assert!(worst.0 <= FINAL, "{what}: {worst:?}");
    }
}

fn by_name(tensors: &[(String, Tensor)]) -> BTreeMap<&str, &Tensor> {
    tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
}

pub fn assert_near(what: &str, found: f64, expected: f32) {
    let expected = f64::from(expected);
    assert!((found - expected).abs() <= GRADIENT * expected.abs(), "{what}: {found} {expected}");
}

fn length(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}
