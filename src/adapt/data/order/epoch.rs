//! The pairs of an epoch as batches, and the batches as steps.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use rand::seq::SliceRandom;

use super::OrderSettings;
use crate::data::samples::Group;
use crate::data::{Samples, random};

/// Pairs of a category that are computed together.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// Index of the category.
    pub category: usize,
    /// Indices in the category's pairs; at least one.
    pub pairs: Vec<usize>,
}

/// The batches of an epoch in their order.
#[derive(Debug)]
pub(super) struct Epoch {
    batches: Vec<Listed>,
    steps: usize,
}

impl Epoch {
    /// The epoch of this number, in `steps` steps or in as many as it takes.
    pub fn new(samples: &Samples, settings: &OrderSettings, number: u64, steps: Option<usize>) -> Epoch {
        let groups = || samples.groups().iter().enumerate().filter(|(_, group)| !group.pairs.is_empty());
        let round = |category, group, round| batches(group, category, settings, number, round);
        let mut lists: Vec<Vec<Listed>> = groups().map(|(category, group)| round(category, group, 0)).collect();
        let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
        if settings.balanced {
            let least = steps.map_or(0, |steps| steps.div_ceil(lists.len()));
            let length = longest.max(least);
            for (list, (category, group)) in lists.iter_mut().zip(groups()) {
                let mut rounds = 1..;
                while list.len() < length {
                    list.extend(rounds.by_ref().take(1).flat_map(|number| round(category, group, number)));
                }
                list.truncate(length);
            }
        }
        let count = |lists: &[Vec<Listed>]| lists.iter().map(Vec::len).sum::<usize>();
        let steps = steps.unwrap_or_else(|| count(&lists).div_ceil(settings.accumulation)).max(1);
        while count(&lists) < steps && halve_largest(&mut lists) {}
        let batches = interleave(lists, settings.seed, number, steps);
        Epoch { batches, steps }
    }

    /// How many steps there are.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The batches of a step with their numbers in the epoch.
    pub fn batches(&self, step: usize) -> impl Iterator<Item = (usize, &Listed)> {
        let range = share(step, self.batches.len(), self.steps);
        range.clone().zip(&self.batches[range])
    }
}

/// The part of `count` things that falls to part `index` of `parts`, as even as it goes.
fn share(index: usize, count: usize, parts: usize) -> Range<usize> {
    count * index / parts..count * (index + 1) / parts
}

/// All pairs of a category, each in one batch, in a random order.
fn batches(group: &Group, category: usize, settings: &OrderSettings, epoch: u64, round: u64) -> Vec<Listed> {
    let numbers = [settings.seed, epoch, category as u64, round];
    let mut images: Vec<usize> = group.pairs.iter().flat_map(|pair| [pair.source, pair.target]).collect();
    images.sort_unstable();
    images.dedup();
    images.shuffle(&mut random::stream("blocks", &numbers));
    let places: HashMap<usize, usize> = images.iter().enumerate().map(|(place, &image)| (image, place)).collect();
    let block = settings.images_per_batch / 2;
    // the image of the earlier block first, and within a batch by that: a part of one that is cut then needs few of them
    let mut between = BTreeMap::<_, Vec<_>>::new();
    for (index, pair) in group.pairs.iter().enumerate() {
        let (source, target) = (places[&pair.source], places[&pair.target]);
        let (first, second) = (source.min(target), source.max(target));
        between.entry([first / block, second / block]).or_default().push([first, second, index]);
    }
    let mut batches = Vec::new();
    for mut pairs in between.into_values() {
        pairs.sort_unstable();
        let parts = pairs.len().div_ceil(settings.pairs_per_batch);
        batches.extend((0..parts).map(|part| {
            let pairs = pairs[share(part, pairs.len(), parts)].iter().map(|[.., index]| *index).collect();
            Listed { category, pairs }
        }));
    }
    batches.shuffle(&mut random::stream("batches", &numbers));
    batches
}

/// Makes two batches of the one with the most pairs; whether there was one with two.
fn halve_largest(lists: &mut [Vec<Listed>]) -> bool {
    let batches = lists.iter().enumerate().flat_map(|(list, batches)| (0..batches.len()).map(move |at| (list, at)));
    let Some((list, at)) = batches.max_by_key(|&(list, at)| lists[list][at].pairs.len()) else { return false };
    let batch = &mut lists[list][at];
    let category = batch.category;
    let pairs = batch.pairs.split_off(batch.pairs.len().div_ceil(2));
    if pairs.is_empty() {
        return false;
    }
    lists[list].insert(at + 1, Listed { category, pairs });
    true
}

/// Spreads the batches of each category over the epoch, and takes those of a step from different categories where it can.
fn interleave(lists: Vec<Vec<Listed>>, seed: u64, epoch: u64, steps: usize) -> Vec<Listed> {
    struct Queue {
        waiting: std::iter::Peekable<std::vec::IntoIter<Listed>>,
        /// When the next is due, in epochs, and how long it is to the one after it.
        due: f64,
        every: f64,
    }
    let mut queues: Vec<Queue> = lists
        .into_iter()
        .enumerate()
        .map(|(index, list)| {
            let every = 1.0 / list.len().max(1) as f64;
            let due = every * random::unit(&mut random::stream("interleave", &[seed, epoch, index as u64]));
            Queue { waiting: list.into_iter().peekable(), due, every }
        })
        .collect();
    let count = queues.iter().map(|queue| queue.waiting.len()).sum();
    let mut batches = Vec::with_capacity(count);
    for step in 0..steps {
        let mut used = vec![false; queues.len()];
        for _ in share(step, count, steps) {
            let waiting = queues
                .iter_mut()
                .enumerate()
                .filter_map(|(index, queue)| queue.waiting.peek().map(|_| (used[index], queue.due, index)));
            let next = waiting.min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
            if let Some((.., index)) = next {
                used[index] = true;
                queues[index].due += queues[index].every;
                batches.extend(queues[index].waiting.next());
            }
        }
    }
    batches
}
