//! Which pairs make which batch of which step.
//!
//! Pairs that share images are computed together, so that an image passes the network once for many pairs. The images of a category
//! are shuffled into blocks of b = `images_per_batch` / 2; for every two blocks, and for a block with itself, the listed pairs
//! between them are a batch. Where all n (n − 1) ordered pairs of n images are listed, as in SPair-71k, an epoch takes about n² / b
//! passes in place of 2 n (n − 1), so 2 b times fewer: as many times as a batch has images, unless `pairs_per_batch` cuts batches
//! into k parts, each of which runs one of the blocks anew: then 2 / (1 + k) of that. [`Order::passes`] counts.

mod epoch;

use std::sync::{Arc, Mutex, PoisonError};

use super::{Samples, View, random};
use crate::{BatchPair, Error};
use epoch::{Epoch, Listed};

/// How pairs are put together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrderSettings {
    /// Where all draws begin.
    pub seed: u64,
    /// Most images of a batch, at least 2.
    pub images_per_batch: usize,
    /// Most pairs of a batch, at least 1. Two full blocks have images_per_batch² / 2.
    pub pairs_per_batch: usize,
    /// Probability that an image is mirrored in a batch, 0 to 1. Categories whose left and right are not known never are.
    pub flip: f64,
    /// Whether every category has the same number of batches in an epoch: as many as the largest, which keeps all of its pairs.
    /// Smaller ones begin again with another shuffle. Otherwise every pair is in one batch of an epoch.
    pub balanced: bool,
    /// Batches of a step, at least 1; of different categories where there are several.
    pub accumulation: usize,
}

/// The batches of all steps, as a function of the seed and the step alone.
///
/// Every epoch has the steps of the first. Where another shuffle makes more or fewer batches of pairs that are not all listed, they
/// are spread over the steps as evenly as they go, and the largest are halved if there is not one for each.
#[derive(Debug)]
pub struct Order {
    samples: Arc<Samples>,
    settings: OrderSettings,
    steps: u64,
    /// The epoch that was asked for last: computed again whenever it is another, so that it changes no result.
    last: Mutex<(u64, Arc<Epoch>)>,
}

/// A batch before its inputs are read.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Index of its pairs' category in the dataset.
    pub category: usize,
    /// What the network sees, each image once.
    pub views: Vec<View>,
    /// At least one, with indices of `views`.
    pub pairs: Vec<BatchPair>,
    /// The indices in the dataset of these pairs.
    pub listed: Vec<usize>,
    /// Pairs that were left out because flipping left them no common point.
    pub skipped: usize,
}

/// What an epoch costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    /// Images that pass the network.
    pub images: usize,
    /// Pairs that are learned from; each by itself would take two passes.
    pub pairs: usize,
    /// Pairs that were left out because flipping left them no common point.
    pub skipped: usize,
}

impl Passes {
    /// How many times fewer passes an epoch takes than two for each pair.
    pub fn ratio(&self) -> f64 {
        2.0 * self.pairs as f64 / self.images as f64
    }
}

impl OrderSettings {
    fn check(&self) -> Result<(), Error> {
        let wrong = |field, reason: &str| Err(Error::Setting { field, reason: reason.to_owned() });
        match self {
            OrderSettings { images_per_batch: 0 | 1, .. } => wrong("images_per_batch", "a pair has 2 images"),
            OrderSettings { pairs_per_batch: 0, .. } => wrong("pairs_per_batch", "a batch has at least 1 pair"),
            OrderSettings { accumulation: 0, .. } => wrong("accumulation", "a step has at least 1 batch"),
            OrderSettings { flip, .. } if !(0.0..=1.0).contains(flip) => wrong("flip", "a probability is from 0 to 1"),
            _ => Ok(()),
        }
    }
}

impl Order {
    /// The order of these samples.
    ///
    /// # Errors
    /// [`Error::Setting`] for a setting beyond its range, or samples without a pair.
    pub fn new(samples: Arc<Samples>, settings: OrderSettings) -> Result<Order, Error> {
        settings.check()?;
        if samples.pairs() == 0 {
            let reason = "no pair has a keypoint within both of its images".to_owned();
            return Err(Error::Setting { field: "dataset", reason });
        }
        let first = Epoch::new(&samples, &settings, 0, None);
        let steps = first.steps() as u64;
        Ok(Order { samples, settings, steps, last: Mutex::new((0, Arc::new(first))) })
    }

    /// What is put in order.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Steps of one epoch, the same for every epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.steps
    }

    /// The batches of step `step`, counted from 0 through all epochs; at least one.
    pub fn step(&self, step: u64) -> Vec<Plan> {
        let number = step / self.steps;
        let epoch = self.epoch(number);
        let batches = epoch.batches((step % self.steps) as usize);
        batches.map(|(index, listed)| self.plan(number, index, listed)).collect()
    }

    /// What the epoch of this number costs.
    pub fn passes(&self, epoch: u64) -> Passes {
        let steps = (0..self.steps).flat_map(|step| self.step(epoch * self.steps + step));
        steps.fold(Passes::default(), |sum, plan| Passes {
            images: sum.images + plan.views.len(),
            pairs: sum.pairs + plan.pairs.len(),
            skipped: sum.skipped + plan.skipped,
        })
    }

    fn epoch(&self, number: u64) -> Arc<Epoch> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != number {
            *last = (number, Arc::new(Epoch::new(&self.samples, &self.settings, number, Some(self.steps as usize))));
        }
        last.1.clone()
    }

    fn plan(&self, epoch: u64, index: usize, listed: &Listed) -> Plan {
        let flips = self.settings.flip > 0.0 && self.samples.groups()[listed.category].flips();
        let flipped = |image: usize| {
            let mut stream = random::stream("flip", &[self.settings.seed, epoch, index as u64, image as u64]);
            flips && random::unit(&mut stream) < self.settings.flip
        };
        let plan = self.seen(listed, flipped);
        // where flipping leaves nothing at all, the batch is seen as it lies: a step needs something to learn from
        if plan.pairs.is_empty() { self.seen(listed, |_| false) } else { plan }
    }

    /// A batch with its images mirrored or not.
    fn seen(&self, listed: &Listed, flipped: impl Fn(usize) -> bool) -> Plan {
        let group = &self.samples.groups()[listed.category];
        let mut views: Vec<View> = Vec::new();
        let mut plan =
            Plan { category: listed.category, views: Vec::new(), pairs: Vec::new(), listed: Vec::new(), skipped: 0 };
        for pair in listed.pairs.iter().map(|&pair| &group.pairs[pair]) {
            let [source, target] = [pair.source, pair.target].map(|image| View { image, flipped: flipped(image) });
            let points = self.samples.common(group, pair, source, target);
            if points.is_empty() {
                plan.skipped += 1;
                continue;
            }
            let [source, target] = [source, target].map(|view| {
                views.iter().position(|known| *known == view).unwrap_or_else(|| {
                    views.push(view);
                    views.len() - 1
                })
            });
            plan.pairs.push(BatchPair { source, target, points, weight: 0.0 });
            plan.listed.push(pair.index);
        }
        let share = 1.0 / plan.pairs.len().max(1) as f32;
        plan.pairs.iter_mut().for_each(|pair| pair.weight = share);
        Plan { views, ..plan }
    }
}
