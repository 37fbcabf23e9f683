//! The maps in memory, shared by the threads that make them and the one that matches.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::spill::Spill;
use super::{Cancel, EncodeError, Encoded, Encoder, Failure, Plan, Settings, Step};
use crate::{Dataset, Error};

/// What a run took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Images encoded, repetitions included.
    pub encodes: usize,
    /// Images encoded again because their maps were given up.
    pub repeated: usize,
    /// Images read back from the temporary file.
    pub reread: usize,
    /// Most bytes of maps held at a time.
    pub peak_bytes: u64,
    /// Most images held at a time.
    pub peak_images: usize,
}

/// How long a thread sleeps at most before it looks whether the run was cancelled.
const LOOK: Duration = Duration::from_millis(50);

type MapsOfImage = Arc<Result<Vec<Encoded>, Failure>>;

/// Maps by image. All waiting is on one condition: what is waited for is named by the two loops that wait.
pub(super) struct Maps<'a> {
    dataset: &'a Dataset,
    /// Images in the order in which the plan loads them; the place is the slot.
    loads: Vec<usize>,
    sizes: &'a [u64],
    models: &'a [usize],
    encoder: &'a dyn Encoder,
    memory: u64,
    cancel: &'a Cancel,
    spill: Option<Spill>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The next of the loads.
    next: usize,
    used: u64,
    images: HashMap<usize, Stay>,
    /// Images that cannot be encoded, so that it is not tried twice.
    failed: HashMap<usize, MapsOfImage>,
    encoded: HashSet<usize>,
    stopped: bool,
    fatal: Option<Error>,
    /// Encoding threads that have not ended.
    working: usize,
    statistics: Statistics,
}

/// An image in memory, or on its way there.
struct Stay {
    /// Slots that it fills: two if it is wanted again before it was given up.
    slots: usize,
    maps: Option<MapsOfImage>,
}

impl<'a> Maps<'a> {
    pub fn new(
        dataset: &'a Dataset,
        plan: &Plan,
        sizes: &'a [u64],
        models: &'a [usize],
        encoder: &'a dyn Encoder,
        settings: &Settings,
        cancel: &'a Cancel,
    ) -> Maps<'a> {
        let load = |step: &Step| match *step {
            Step::Load { image, .. } => Some(image),
            _ => None,
        };
        Maps {
            dataset,
            loads: plan.steps().iter().filter_map(load).collect(),
            sizes,
            models,
            encoder,
            memory: settings.memory,
            cancel,
            spill: settings.spill.as_deref().map(Spill::new),
            state: Mutex::new(State { working: settings.encoders.max(1), ..State::default() }),
            changed: Condvar::new(),
        }
    }

    /// The work of an encoding thread: the loads of the plan, in order, until all are done or the run ends.
    pub fn encode(&self) {
        let _ended = Ended(self);
        while let Some(image) = self.next_load() {
            let made = self.make(image);
            let mut state = self.lock();
            match made {
                Ok(maps) => {
                    if let Some(stay) = state.images.get_mut(&image) {
                        stay.maps = Some(Arc::new(maps));
                    }
                }
                Err(error) => {
                    state.fatal.get_or_insert(error);
                    state.stopped = true;
                }
            }
            self.changed.notify_all();
        }
    }

    /// Claims memory for the next image that is not in memory; waits while there is not enough. This is the only wait of an
    /// encoding thread. It ends: once every step before this load is done there is room, for so the plan was made.
    fn next_load(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.stopped || self.cancel.is_cancelled() {
                return None;
            }
            let image = *self.loads.get(state.next)?;
            if let Some(stay) = state.images.get_mut(&image) {
                stay.slots += 1;
                state.next += 1;
                continue;
            }
            let size = self.size(image);
            if state.used + size <= self.memory {
                state.next += 1;
                state.used += size;
                state.images.insert(image, Stay { slots: 1, maps: None });
                state.statistics.peak_bytes = state.statistics.peak_bytes.max(state.used);
                state.statistics.peak_images = state.statistics.peak_images.max(state.images.len());
                return Some(image);
            }
            state = self.sleep(state);
        }
    }

    /// Reads the image's maps back or makes them.
    fn make(&self, image: usize) -> Result<Result<Vec<Encoded>, Failure>, Error> {
        if let Some(failed) = self.lock().failed.get(&image) {
            return Ok(failed.as_ref().clone());
        }
        if let Some(maps) = self.spill.as_ref().and_then(|spill| spill.read(image)) {
            self.lock().statistics.reread += 1;
            return Ok(Ok(maps));
        }
        let Some(described) = self.dataset.images.get(image) else {
            return Ok(Err(Failure::new("there is no such image")));
        };
        let call = || self.encoder.encode(described, self.models, self.cancel);
        let panicked = |_| Err(EncodeError::Fatal("the encoder panicked".into()));
        let made = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(panicked);
        let mut state = self.lock();
        state.statistics.encodes += 1;
        if !state.encoded.insert(image) {
            state.statistics.repeated += 1;
        }
        drop(state);
        let name = || described.path.display();
        match made {
            Ok(maps) => {
                let (found, declared) = (maps.iter().map(Encoded::bytes).sum::<u64>(), self.size(image));
                if found > declared {
                    let reason = format!("the maps of {} take {found} bytes where {declared} were announced", name());
                    return Err(Error::Encoder(reason.into()));
                }
                let other = maps.iter().map(|encoded| encoded.fit.image()).find(|size| *size != described.size);
                Ok(match other {
                    Some(size) => {
                        let annotated = described.size;
                        Err(Failure::new(format!(
                            "{} is {}×{} px and annotated as {}×{}: its keypoints are those of another picture",
                            name(),
                            size.width,
                            size.height,
                            annotated.width,
                            annotated.height
                        )))
                    }
                    None => Ok(maps),
                })
            }
            Err(EncodeError::Image(reason)) => Ok(Err(Failure::new(format!("{}: {reason}", name())))),
            Err(EncodeError::Fatal(error)) => Err(Error::Encoder(error)),
        }
    }

    /// The maps in the slot, as soon as they are there. None if the run was cancelled.
    pub fn wait(&self, slot: usize) -> Result<Option<MapsOfImage>, Error> {
        let Some(&image) = self.loads.get(slot) else { return Ok(None) };
        let mut state = self.lock();
        loop {
            if let Some(error) = state.fatal.take() {
                return Err(error);
            }
            if self.cancel.is_cancelled() {
                return Ok(None);
            }
            if let Some(maps) = state.images.get(&image).and_then(|stay| stay.maps.clone()) {
                return Ok(Some(maps));
            }
            if state.working == 0 {
                return Err(Error::Thread("ended before its work did".to_owned()));
            }
            state = self.sleep(state);
        }
    }

    /// Whether [`wait`](Maps::wait) would return at once.
    pub fn is_ready(&self, slot: usize) -> bool {
        let state = self.lock();
        self.loads.get(slot).is_some_and(|image| state.images.get(image).is_some_and(|stay| stay.maps.is_some()))
    }

    /// Gives the slot's maps up; into the temporary file, if they are wanted again.
    pub fn release(&self, slot: usize, again: bool) {
        let Some(&image) = self.loads.get(slot) else { return };
        let maps = {
            let state = self.lock();
            let last = state.images.get(&image).filter(|stay| stay.slots == 1);
            last.and_then(|stay| stay.maps.clone()).filter(|_| again)
        };
        let failed = maps.as_ref().filter(|maps| maps.is_err()).cloned();
        if let (Some(spill), Some(Ok(maps))) = (&self.spill, maps.as_deref()) {
            // without the lock: encoding goes on meanwhile. Where it cannot be written, the image is encoded again.
            spill.write(image, maps);
        }
        // before the memory is given to another image
        drop(maps);
        let mut state = self.lock();
        if let Some(failed) = failed {
            state.failed.insert(image, failed);
        }
        let empty = state.images.get_mut(&image).is_some_and(|stay| {
            stay.slots = stay.slots.saturating_sub(1);
            stay.slots == 0
        });
        if empty {
            state.images.remove(&image);
            state.used -= self.size(image);
        }
        self.changed.notify_all();
    }

    /// Ends the encoding threads as soon as they have made what they are making.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Images encoded so far, repetitions included.
    pub fn encoded(&self) -> usize {
        self.lock().statistics.encodes
    }

    pub fn statistics(&self) -> Statistics {
        self.lock().statistics
    }

    fn size(&self, image: usize) -> u64 {
        self.sizes.get(image).copied().unwrap_or_default()
    }

    /// The state is whole between any two statements, so that a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Counts an encoding thread out, however it ends.
struct Ended<'a, 'b>(&'a Maps<'b>);

impl Drop for Ended<'_, '_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.working = state.working.saturating_sub(1);
        self.0.changed.notify_all();
    }
}
