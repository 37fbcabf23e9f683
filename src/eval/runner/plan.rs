//! The order of a run, decided before it starts.
//!
//! Images are nodes of a graph and pairs its edges. The next image is the one with most open pairs among those in memory, so
//! that groups (a category of SPair-71k) are worked off one after the other and an image goes soon after it came. Where a group
//! does not fit, all places but one keep their images while the others stream through the last: the image with most open pairs
//! makes room. For a complete graph of n images and room for m this takes about n²/2m loads.

use std::cmp::Reverse;

use crate::{Dataset, Error};

/// One step. A *slot* is one stay of an image in memory; slots are numbered in the order in which they are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The image's maps are made or read into the slot.
    Load {
        /// The slot, new.
        slot: usize,
        /// Index of the image.
        image: usize,
    },
    /// The pair is matched.
    Match {
        /// Index of the pair.
        pair: usize,
        /// Slot of its source.
        source: usize,
        /// Slot of its target.
        target: usize,
    },
    /// The slot's maps are given up.
    Release {
        /// The slot.
        slot: usize,
        /// Whether the image is loaded again later.
        again: bool,
    },
}

/// Steps that deliver every pair once and never hold more than a capacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    steps: Vec<Step>,
    images: usize,
    loads: usize,
    peak_bytes: u64,
    peak_images: usize,
    largest_pair: u64,
}

/// Memory that a plan may fill: a quarter of the setting is left for images that are encoded ahead, but never so much that the
/// two largest images would not fit.
pub(super) fn capacity(settings: &super::Settings, sizes: &[u64]) -> u64 {
    let mut largest: Vec<u64> = sizes.to_vec();
    largest.sort_unstable_by_key(|size| Reverse(*size));
    let two: u64 = largest.iter().take(2).sum();
    (settings.memory / 4 * 3).max(two.min(settings.memory))
}

impl Plan {
    /// Plans `pairs` of the dataset, whose images take `sizes` bytes, within `capacity` bytes. The same arguments give the same
    /// plan.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a pair or an image that does not exist, [`Error::BudgetTooSmall`] if the images of a pair do not
    /// fit together.
    pub fn new(dataset: &Dataset, pairs: &[usize], sizes: &[u64], capacity: u64) -> Result<Plan, Error> {
        let mut planner = Planner::new(dataset, pairs, sizes, capacity)?;
        while let Some(image) = planner.next_image() {
            planner.make_room(image);
            planner.load(image);
        }
        Ok(planner.plan)
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How many images there are.
    pub fn images(&self) -> usize {
        self.images
    }

    /// How many times an image is loaded: as many as there are images if each comes once.
    pub fn loads(&self) -> usize {
        self.loads
    }

    /// Most bytes held at a time.
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }

    /// Most images held at a time.
    pub fn peak_images(&self) -> usize {
        self.peak_images
    }

    /// Bytes of the two images of the largest pair: the least capacity.
    pub fn largest_pair(&self) -> u64 {
        self.largest_pair
    }
}

struct Planner<'a> {
    sizes: &'a [u64],
    capacity: u64,
    /// Open pairs of each image: (other image, pair).
    open: Vec<Vec<(usize, usize)>>,
    source: Vec<(usize, usize)>,
    /// Slot of each image in memory.
    slot: Vec<Option<usize>>,
    /// Images in memory, in the order in which they came.
    resident: Vec<usize>,
    /// Open pairs of each image with images in memory.
    gain: Vec<usize>,
    used: u64,
    plan: Plan,
}

impl<'a> Planner<'a> {
    fn new(dataset: &Dataset, pairs: &[usize], sizes: &'a [u64], capacity: u64) -> Result<Planner<'a>, Error> {
        let images = dataset.images.len();
        let mut open = vec![Vec::new(); images];
        let mut source = Vec::with_capacity(pairs.len());
        let mut largest_pair = 0;
        for (number, &index) in pairs.iter().enumerate() {
            let count = dataset.pairs.len();
            let pair = dataset.pairs.get(index).ok_or(Error::OutOfRange { what: "pair", index, count })?;
            for (one, other) in [(pair.source, pair.target), (pair.target, pair.source)] {
                let missing = Error::OutOfRange { what: "image", index: one, count: images };
                let list = open.get_mut(one).ok_or(missing)?;
                // a pair of an image with itself is open once
                if one != other || list.last() != Some(&(other, number)) {
                    list.push((other, number));
                }
            }
            source.push((index, pair.source));
            let size = |image: usize| sizes.get(image).copied().unwrap_or_default();
            let both = if pair.source == pair.target { 0 } else { size(pair.target) };
            largest_pair = largest_pair.max(size(pair.source) + both);
        }
        if largest_pair > capacity {
            return Err(Error::BudgetTooSmall { budget: capacity, needed: largest_pair });
        }
        let used_images = open.iter().filter(|list| !list.is_empty()).count();
        Ok(Planner {
            sizes,
            capacity,
            open,
            source,
            slot: vec![None; images],
            resident: Vec::new(),
            gain: vec![0; images],
            used: 0,
            plan: Plan {
                steps: Vec::new(),
                images: used_images,
                loads: 0,
                peak_bytes: 0,
                peak_images: 0,
                largest_pair,
            },
        })
    }

    fn size(&self, image: usize) -> u64 {
        self.sizes.get(image).copied().unwrap_or_default()
    }

    fn degree(&self, image: usize) -> usize {
        self.open.get(image).map_or(0, Vec::len)
    }

    /// Of the images that are not in memory: most pairs with those that are, then fewest open pairs, then the first.
    fn next_image(&self) -> Option<usize> {
        let waiting = self.open.iter().zip(&self.slot).zip(&self.gain).enumerate();
        waiting
            .filter(|(_, ((open, slot), _))| !open.is_empty() && slot.is_none())
            .min_by_key(|(image, ((open, _), gain))| (Reverse(**gain), open.len(), *image))
            .map(|(image, _)| image)
    }

    /// Gives up images until `image` fits, but never the one that it is matched with first.
    fn make_room(&mut self, image: usize) {
        let partners: Vec<usize> = self.open.get(image).into_iter().flatten().map(|(other, _)| *other).collect();
        let anchor = self
            .resident
            .iter()
            .copied()
            .filter(|resident| partners.contains(resident))
            .min_by_key(|resident| (self.degree(*resident), *resident));
        while self.used + self.size(image) > self.capacity {
            let victim = self
                .resident
                .iter()
                .copied()
                .filter(|resident| Some(*resident) != anchor)
                .max_by_key(|resident| (!partners.contains(resident), self.degree(*resident), Reverse(*resident)));
            let Some(victim) = victim else { return };
            self.release(victim, true);
        }
    }

    fn load(&mut self, image: usize) {
        let slot = self.plan.loads;
        self.plan.loads += 1;
        self.plan.steps.push(Step::Load { slot, image });
        if let Some(place) = self.slot.get_mut(image) {
            *place = Some(slot);
        }
        self.resident.push(image);
        self.used += self.size(image);
        self.plan.peak_bytes = self.plan.peak_bytes.max(self.used);
        self.plan.peak_images = self.plan.peak_images.max(self.resident.len());
        self.count_gain(image, true);
        self.match_with_resident(image);
        let finished: Vec<usize> =
            self.resident.iter().copied().filter(|resident| self.degree(*resident) == 0).collect();
        for image in finished {
            self.release(image, false);
        }
    }

    fn match_with_resident(&mut self, image: usize) {
        let slots = &self.slot;
        let in_memory = |other: usize| slots.get(other).copied().flatten();
        let Some(open) = self.open.get_mut(image) else { return };
        let mut due: Vec<(usize, usize)> = open.extract_if(.., |(other, _)| in_memory(*other).is_some()).collect();
        due.sort_by_key(|(_, number)| *number);
        for (other, number) in due {
            if other != image
                && let Some(open) = self.open.get_mut(other)
            {
                open.retain(|(_, theirs)| *theirs != number);
                // it is no longer a pair with an image in memory, for either of the two
                for counted in [other, image] {
                    if let Some(gain) = self.gain.get_mut(counted) {
                        *gain = gain.saturating_sub(1);
                    }
                }
            }
            let (Some(mine), Some(theirs), Some(&(pair, source))) =
                (in_memory(image), in_memory(other), self.source.get(number))
            else {
                continue;
            };
            let (source, target) = if source == image { (mine, theirs) } else { (theirs, mine) };
            self.plan.steps.push(Step::Match { pair, source, target });
        }
    }

    fn release(&mut self, image: usize, again: bool) {
        self.resident.retain(|resident| *resident != image);
        self.used -= self.size(image);
        self.count_gain(image, false);
        if let Some(slot) = self.slot.get_mut(image).and_then(Option::take) {
            self.plan.steps.push(Step::Release { slot, again });
        }
    }

    /// Keeps [`gain`](Planner::gain) right when an image comes or goes.
    fn count_gain(&mut self, image: usize, comes: bool) {
        for (other, _) in self.open.get(image).into_iter().flatten() {
            if let Some(gain) = self.gain.get_mut(*other)
                && *other != image
            {
                *gain = if comes { *gain + 1 } else { gain.saturating_sub(1) };
            }
        }
    }
}
