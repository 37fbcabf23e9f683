//! Random numbers that depend on nothing but what is drawn: no thread, no order of images.

use glam::Vec3;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of these four numbers; any other four give another stream.
    pub(crate) fn new(seed: u64, index: u64, category: u8, split: u8, purpose: u8) -> Dice {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&index.to_le_bytes());
        key[16..19].copy_from_slice(&[category, split, purpose]);
        Dice(ChaCha8Rng::from_seed(key))
    }

    /// 32 random bits.
    pub(crate) fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A stream of its own, so that what it draws does not move what is drawn here afterwards.
    pub(crate) fn fork(&mut self) -> Dice {
        Dice(ChaCha8Rng::seed_from_u64(self.0.next_u64()))
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// A factor around 1, at most `1 + spread` and at least its inverse, symmetric in the logarithm.
    pub(crate) fn about(&mut self, spread: f32) -> f32 {
        (self.range(-1.0, 1.0) * (1.0 + spread).ln()).exp()
    }

    /// Whether something of this probability happens.
    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// Uniform in `0..count`; 0 where there is nothing to choose from.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.unit() * count as f32) as usize
    }

    /// One of a few.
    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[self.below(N).min(N - 1)]
    }

    /// Roughly normal with mean 0 and standard deviation 1: the sum of twelve uniform numbers, never beyond ±6.
    pub(crate) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }

    /// A vector of components uniform in `[-1, 1)`.
    pub(crate) fn cube(&mut self) -> Vec3 {
        Vec3::new(self.range(-1.0, 1.0), self.range(-1.0, 1.0), self.range(-1.0, 1.0))
    }
}
