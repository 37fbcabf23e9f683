//! Checkpoints of random weights under the official names: for the demo bundle until a trained one takes its place, and for
//! trying a full-size network without its weights.

use crate::{
    Family,
    checkpoint::{Checkpoint, Tensor},
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use std::{collections::BTreeMap, f32::consts::PI};

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

/// What a network of the family is trained from: as [`weights`], but its patches are first seen as the lowest frequencies of a
/// cosine transform, an orthogonal basis, of lightness and two colours; it tells patches apart before it has learned anything. High
/// frequencies, which are weak in pictures, count more by as much: a patch's mean brightness would drown the rest.
///
/// Positions are sines and cosines of row and column (as MAE has them, He et al. 2022), and keys are queries, so that tokens first attend to those that are
/// near and look alike (Trockman and Kolter 2023, "Mimetic Initialization of Self-Attention Layers", §4): a network that begins so is
/// much like one of convolutions.
pub fn initial(family: &Family, seed: u64) -> Checkpoint {
    let checkpoint = weights(family, seed);
    let shapes = family.original_shapes();
    let mut tensors: BTreeMap<String, Tensor> =
        shapes.keys().filter_map(|name| Some((name.clone(), checkpoint.read(name).ok()?))).collect();
    for (name, Tensor { shape, data }) in &mut tensors {
        match shape[..] {
            [_, 3, side, _] if name == "patch_embed.proj.weight" => {
                for (row, kernel) in cosines(side).zip(data.chunks_exact_mut(3 * side * side)) {
                    kernel.copy_from_slice(&row);
                }
            }
            [1, tokens, width] if name == "pos_embed" => {
                let side = ((tokens - 1) as f32).sqrt() as usize;
                for (place, position) in data.chunks_exact_mut(width).skip(1).enumerate() {
                    waves([place / side, place % side], position);
                }
            }
            [rows, input] if name.ends_with("attn.qkv.weight") => {
                let (queries, rest) = data.split_at_mut(rows / 3 * input);
                queries.iter_mut().for_each(|weight| *weight *= ALIKE.sqrt());
                rest[..queries.len()].copy_from_slice(queries);
            }
            _ => {}
        }
    }
    Checkpoint::from_tensors(tensors)
}

/// What queries times keys of a token and itself are first scaled by.
const ALIKE: f32 = 0.6;
/// The amplitude of positions.
const POSITION: f32 = 0.4;

/// Sines and cosines of a row, then of a column, a quarter of the channels each.
fn waves(place: [usize; 2], position: &mut [f32]) {
    let quarter = (position.len() / 4).max(1);
    for (channel, value) in position.iter_mut().enumerate() {
        let (part, wave) = (channel / quarter, channel % quarter);
        let angle = place[(part / 2).min(1)] as f32 * 10_000f32.powf(-(wave as f32) / quarter as f32);
        *value = POSITION * if part % 2 == 0 { angle.sin() } else { angle.cos() };
    }
}

/// The products of a cosine transform's basis with three colours, each `[3, side, side]`; low frequencies first. Amplitudes in
/// pictures fall as one over the frequency (Field 1987), so lengths rise with it.
fn cosines(side: usize) -> impl Iterator<Item = Vec<f32>> {
    // Of the mean's amplitude as of a frequency's.
    const WHITE: f32 = 0.7;
    // Lightness, red against blue, green against both; brought to length one below.
    const COLOURS: [[f32; 3]; 3] = [[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]];
    let mut frequencies: Vec<(usize, usize)> = (0..side * side).map(|place| (place / side, place % side)).collect();
    frequencies.sort_by_key(|(u, v)| u * u + v * v);
    let wave = move |frequency: usize, at: usize| {
        let scale = if frequency == 0 { 1.0 } else { 2.0 } / side as f32;
        scale.sqrt() * (PI * (at as f32 + 0.5) * frequency as f32 / side as f32).cos()
    };
    frequencies.into_iter().flat_map(move |(u, v)| {
        COLOURS.map(|colour| {
            let plane = (0..side * side).map(|place| wave(u, place / side) * wave(v, place % side));
            let plane: Vec<f32> = plane.collect();
            let gain = (((u * u + v * v) as f32).sqrt() + WHITE) / side as f32;
            let length = colour.iter().map(|share| share * share).sum::<f32>().sqrt() / gain;
            colour.iter().flat_map(|share| plane.iter().map(move |value| share / length * value)).collect()
        })
    })
}

fn normal(random: &mut ChaCha8Rng, std: f32, count: usize) -> Vec<f32> {
    // A standard deviation above zero is always accepted.
    let Ok(distribution) = Normal::new(0.0f32, std) else {
        return vec![0.0; count];
    };
    distribution.sample_iter(random).take(count).collect()
}
