//! Checkpoints of random weights under the official names: for the demo bundle until a trained one takes its place, and for
//! trying a full-size network without its weights.

use crate::{
    Family,
    checkpoint::{Checkpoint, Tensor},
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use std::collections::BTreeMap;

/// Random weights of a network of `family`, the same for the same seed on every machine.
///
/// Products have a standard deviation of `1/√inputs`, so that activations keep their scale; LayerScale is 0.1, which leaves a
/// token mostly what its patch shows; norms are neutral; position embeddings are faint. A point is then found again by its
/// colours and edges: enough to see the service work, and nothing that an accuracy could be read from.
pub fn weights(family: &Family, seed: u64) -> Checkpoint {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut tensors = BTreeMap::new();
    for (name, shape) in family.original_shapes() {
        let count: usize = shape.iter().product();
        let inputs: usize = shape.iter().skip(1).product();
        let data = match name.as_str() {
            name if name.ends_with("gamma") => vec![0.1; count],
            // The norms'; no other weight has one axis.
            name if name.ends_with("weight") && shape.len() == 1 => vec![1.0; count],
            name if name.ends_with("bias") => vec![0.0; count],
            name if name.ends_with("embed") || name.ends_with("token") || name.ends_with("tokens") => {
                normal(&mut random, 0.02, count)
            }
            _ => normal(&mut random, 1.0 / (inputs as f32).sqrt(), count),
        };
        tensors.insert(name, Tensor { shape, data });
    }
    Checkpoint::from_tensors(tensors)
}

fn normal(random: &mut ChaCha8Rng, std: f32, count: usize) -> Vec<f32> {
    // A standard deviation above zero is always accepted.
    let Ok(distribution) = Normal::new(0.0f32, std) else {
        return vec![0.0; count];
    };
    distribution.sample_iter(random).take(count).collect()
}
