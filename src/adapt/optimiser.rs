//! AdamW and the clipping of gradients, as PyTorch has them. Every sum is taken in one order, so that the threads change no bit.

use crate::Parameters;
use rayon::prelude::*;

/// Numbers that a thread takes at a time; sums are taken chunk by chunk.
const CHUNK: usize = 1 << 14;

/// AdamW with what it remembers. Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2, in the form of
/// `torch.optim.AdamW`: the decay `1 − lr · weight_decay` acts on the parameter before the step, the moments are corrected for
/// their start at zero, and `eps` is added to the corrected root.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamW {
    /// β₁ and β₂, in [0, 1).
    pub betas: [f64; 2],
    /// What keeps the quotient finite, above 0.
    pub eps: f64,
    /// Decay for each unit of learning rate, of the parameters that have any.
    pub weight_decay: f64,
    /// Steps taken.
    pub step: u64,
    /// First moments, in the order of the parameters.
    pub first: Vec<Vec<f32>>,
    /// Second moments, in the order of the parameters.
    pub second: Vec<Vec<f32>>,
}

impl AdamW {
    /// Before the first step.
    pub fn new(parameters: &Parameters, betas: [f64; 2], eps: f64, weight_decay: f64) -> AdamW {
        let zeros: Vec<_> = parameters.iter().map(|parameter| vec![0.0; parameter.data.len()]).collect();
        AdamW { betas, eps, weight_decay, step: 0, first: zeros.clone(), second: zeros }
    }

    /// One step. `gradients` are in the order and the lengths of the parameters.
    ///
    /// Products and sums are in single precision, factors are made in double precision and rounded, as in PyTorch.
    pub fn step(&mut self, parameters: &mut Parameters, gradients: &[Vec<f32>], learning_rate: f64) {
        self.step += 1;
        let [beta1, beta2] = self.betas;
        // a power with a whole exponent, but of more than i32 can hold
        let correction = |beta: f64| 1.0 - beta.powf(self.step as f64);
        let step_size = (learning_rate / correction(beta1)) as f32;
        let root_correction = correction(beta2).sqrt() as f32;
        let (take1, keep2, take2, eps) = ((1.0 - beta1) as f32, beta2 as f32, (1.0 - beta2) as f32, self.eps as f32);
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((parameter, gradient), (first, second)) in parameters.iter_mut().zip(gradients).zip(moments) {
            let decay = if parameter.decay { (1.0 - learning_rate * self.weight_decay) as f32 } else { 1.0 };
            let update = |(((p, g), m), v): (((&mut f32, &f32), &mut f32), &mut f32)| {
                *p *= decay;
                *m += take1 * (g - *m);
                *v = *v * keep2 + take2 * g * g;
                *p -= step_size * *m / (v.sqrt() / root_correction + eps);
            };
            let chunks = parameter.data.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
            let chunks = chunks.zip(first.par_chunks_mut(CHUNK)).zip(second.par_chunks_mut(CHUNK));
            chunks.for_each(|(((p, g), m), v)| p.iter_mut().zip(g).zip(m).zip(v).for_each(update));
        }
    }
}

/// The norm of all gradients together, as if they were one vector.
pub fn norm(gradients: &[Vec<f32>]) -> f64 {
    let squares = |chunk: &[f32]| chunk.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
    let chunks: Vec<f64> = gradients.par_iter().flat_map_iter(|gradient| gradient.chunks(CHUNK).map(squares)).collect();
    chunks.into_iter().sum::<f64>().sqrt()
}

/// Shortens the gradients to a norm of `most` where they are longer, and gives the norm that they had.
///
/// Pascanu et al., "On the difficulty of training recurrent neural networks", 2013, §3.2, in the form of
/// `torch.nn.utils.clip_grad_norm_`: all are multiplied by `most / (norm + 1e-6)` where that is below 1.
pub fn clip(gradients: &mut [Vec<f32>], most: f64) -> f64 {
    let norm = norm(gradients);
    let factor = most / (norm + 1e-6);
    if factor < 1.0 {
        scale(gradients, factor as f32);
    }
    norm
}

/// Multiplies all by `factor`.
pub(crate) fn scale(gradients: &mut [Vec<f32>], factor: f32) {
    gradients.par_iter_mut().for_each(|gradient| gradient.iter_mut().for_each(|value| *value *= factor));
}

/// Adds `more` to `sum`.
pub(crate) fn add(sum: &mut [Vec<f32>], more: &[Vec<f32>]) {
    sum.par_iter_mut().zip(more).for_each(|(sum, more)| {
        sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    });
}
