//! What an image takes of a worker, by model and size: how long a request will wait is told from it.

use homolog_core::geometry::Size;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Means of what images took lately.
#[derive(Default)]
pub(crate) struct Costs(Mutex<HashMap<(Arc<str>, Size), Cost>>);

#[derive(Clone, Copy)]
struct Cost {
    mean: Duration,
    /// The latest run, which is nearer than the mean where a machine has just become busy.
    last: Duration,
    /// Whether it is that of a first run, in which memory is taken and what is lazy is done: the next one replaces it.
    first: bool,
}

/// How much of a mean the latest run is.
const LATEST: f64 = 0.2;

impl Costs {
    /// A model's first run in a worker.
    pub fn began(&self, model: &Arc<str>, size: Size, took: Duration) {
        self.lock().entry((model.clone(), size)).or_insert(Cost { mean: took, last: took, first: true });
    }

    /// Images that were run together took so long.
    pub fn took(&self, model: &Arc<str>, size: Size, time: Duration, images: usize) {
        let one = time.div_f64(images.max(1) as f64);
        let mut costs = self.lock();
        match costs.entry((model.clone(), size)) {
            Entry::Vacant(place) => drop(place.insert(Cost { mean: one, last: one, first: true })),
            Entry::Occupied(mut cost) => {
                let before = *cost.get();
                let mean = if before.first { one } else { before.mean.mul_f64(1.0 - LATEST) + one.mul_f64(LATEST) };
                cost.insert(Cost { mean, last: one, first: false });
            }
        }
    }

    /// What an image will take, rather too long than too short: that of the nearest size, by its pixels; of first runs only where there are no others. Nothing for a model
    /// that never ran.
    pub fn expected(&self, model: &str, size: Size) -> Duration {
        let costs = self.lock();
        let of_model = costs.iter().filter(|((of, _), _)| **of == *model);
        let ratio = |known: &Size| size.pixels() as f64 / known.pixels().max(1) as f64;
        let known = of_model.map(|((_, known), cost)| (ratio(known), *cost));
        let nearest = known.min_by(|(one, a), (other, b)| {
            a.first.cmp(&b.first).then_with(|| one.ln().abs().total_cmp(&other.ln().abs()))
        });
        nearest.map_or(Duration::ZERO, |(ratio, cost)| cost.mean.max(cost.last).mul_f64(ratio))
    }

    /// Each cost is written whole, so that a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, HashMap<(Arc<str>, Size), Cost>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
