//! The queue in front of all workers: interactive images first, in a bounded line of their own; background images when no
//! interactive one waits, and only until one comes.
//!
//! A background image that is stopped for an interactive one goes back to the front of its line. Each is stopped [`PATIENCE`]
//! times at most, so that every run that is taken up brings the background work on.

use crate::{Described, Error, WhenFull, batch::together, call::Call};
use homolog_core::{geometry::Size, image::Pixels};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::Span;

/// How often a background image is stopped before it runs to its end.
pub(crate) const PATIENCE: u32 = 3;

/// An image on its way to its descriptors under models that stand on one backbone.
pub(crate) struct Job {
    pub models: Vec<Arc<str>>,
    pub pixels: Arc<Pixels>,
    pub call: Arc<Call>,
    /// When the caller asked.
    pub since: Instant,
    /// The image's time in the queue: closed when a worker takes the image, or the caller leaves.
    pub waiting: Span,
    /// The span in which the caller asked.
    pub caller: Span,
    pub reply: oneshot::Sender<Result<Vec<Described>, Error>>,
    /// Whether it stands in the background line.
    pub background: bool,
    /// How often it was stopped for another.
    pub preempted: u32,
    /// Whether it is run by itself, since a run with others failed.
    pub alone: bool,
}

impl Job {
    /// Images of which this is the same can be run together.
    fn kind(&self) -> (&[Arc<str>], Size, Option<*const Call>) {
        // the address is no one else's
        (&self.models, self.pixels.size(), self.alone.then_some(Arc::as_ptr(&self.call)))
    }
}

/// Two lines of images, and the background images that run.
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// Places in the interactive line.
    places: Arc<Semaphore>,
    preemptions: AtomicU64,
}

#[derive(Default)]
struct State {
    interactive: VecDeque<(Job, OwnedSemaphorePermit)>,
    background: VecDeque<Job>,
    running: Vec<Running>,
    /// Workers that live.
    workers: usize,
    /// Workers that wait for an image, those included that were just woken for one.
    idle: usize,
    closed: bool,
}

/// Background images that run together.
struct Running {
    calls: Vec<Arc<Call>>,
    /// Whether one of them has been stopped often enough.
    stays: bool,
    /// Whether its worker was told to come back.
    told: bool,
}

impl Queue {
    /// An empty queue with `places` in the interactive line, for `workers` that must all [`work`](Queue::worker).
    pub fn new(places: usize, workers: usize) -> Queue {
        Queue {
            state: Mutex::new(State { workers, ..State::default() }),
            changed: Condvar::new(),
            places: Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS))),
            preemptions: AtomicU64::new(0),
        }
    }

    /// Puts an image at the end of the interactive line; if no worker is free for it, one leaves a background image for it.
    pub async fn push(&self, job: Job, when_full: WhenFull) -> Result<(), Error> {
        let places = Arc::clone(&self.places);
        let place = match when_full {
            WhenFull::Refuse => {
                if places.available_permits() == 0 {
                    self.drop_gone();
                }
                places.try_acquire_owned().map_err(|error| match error {
                    tokio::sync::TryAcquireError::NoPermits => Error::QueueFull { waiting: self.waiting() },
                    tokio::sync::TryAcquireError::Closed => Error::Stopped,
                })?
            }
            WhenFull::Wait | WhenFull::Next => places.acquire_owned().await.map_err(|_| Error::Stopped)?,
        };
        let mut state = self.lock();
        if state.closed {
            return Err(Error::Stopped);
        }
        match when_full {
            WhenFull::Next => state.interactive.push_front((job, place)),
            WhenFull::Refuse | WhenFull::Wait => state.interactive.push_back((job, place)),
        }
        let coming = state.idle + state.running.iter().filter(|running| running.told).count();
        if state.interactive.len() > coming {
            // The latest has the least to lose.
            let latest = state.running.iter_mut().rev().find(|running| !running.told && !running.stays);
            if let Some(running) = latest {
                running.told = true;
                running.calls.iter().for_each(|call| call.preempt());
            }
        }
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Puts an image at the end of the background line, which has no bound: who asks waits for the answer.
    pub fn push_background(&self, job: Job) -> Result<(), Error> {
        let mut state = self.lock();
        if state.closed {
            return Err(Error::Stopped);
        }
        state.background.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The next images for a worker, alike and `most` together at most; waits for the first. None once the queue is closed and no
    /// interactive image is left.
    pub fn take(&self, most: usize) -> Option<Vec<Job>> {
        let mut state = self.lock();
        loop {
            state.interactive.retain(|(job, _)| !job.call.is_gone());
            let chosen = together(state.interactive.iter().map(|(job, _)| job.kind()), most);
            if !chosen.is_empty() {
                let (jobs, places): (Vec<Job>, Vec<_>) = remove(&mut state.interactive, &chosen).into_iter().unzip();
                drop(state);
                // Wakes who waits for a place, and so not under the lock.
                drop(places);
                return Some(jobs);
            }
            state.background.retain(|job| !job.call.is_gone());
            let chosen = together(state.background.iter().map(Job::kind), most);
            if !chosen.is_empty() {
                let jobs = remove(&mut state.background, &chosen);
                let calls = jobs.iter().map(|job| job.call.clone()).collect();
                let stays = jobs.iter().any(|job| job.preempted >= PATIENCE);
                state.running.push(Running { calls, stays, told: false });
                return Some(jobs);
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// The run of these images has ended, and is not stopped any more.
    pub fn ended(&self, jobs: &[Job]) {
        let Some(first) = jobs.first() else { return };
        let of_them = |running: &Running| running.calls.iter().any(|call| Arc::ptr_eq(call, &first.call));
        self.lock().running.retain(|running| !of_them(running));
    }

    /// Gives back the places of images whose callers are gone.
    fn drop_gone(&self) {
        let mut state = self.lock();
        let (gone, left) = std::mem::take(&mut state.interactive).into_iter().partition(|(job, _)| job.call.is_gone());
        state.interactive = left;
        drop(state);
        drop::<VecDeque<_>>(gone);
    }

    /// Takes back a background image that was stopped for another, after [`ended`](Queue::ended).
    pub fn again(&self, mut job: Job) {
        self.preemptions.fetch_add(1, Ordering::Relaxed);
        job.preempted += 1;
        job.waiting = tracing::info_span!(parent: &job.caller, "queue");
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.background.push_front(job);
        drop(state);
        self.changed.notify_one();
    }

    /// Takes back background images whose run together failed, after [`ended`](Queue::ended): each is run by itself.
    pub fn apart(&self, jobs: Vec<Job>) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        for mut job in jobs.into_iter().rev() {
            job.alone = true;
            job.waiting = tracing::info_span!(parent: &job.caller, "queue");
            state.background.push_front(job);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Interactive images that wait, those aside whose callers are gone.
    pub fn waiting(&self) -> usize {
        self.lock().interactive.iter().filter(|(job, _)| !job.call.is_gone()).count()
    }

    /// Background images that wait, those aside whose callers are gone.
    pub fn waiting_behind(&self) -> usize {
        self.lock().background.iter().filter(|job| !job.call.is_gone()).count()
    }

    /// How often a background image was stopped for an interactive one.
    pub fn preemptions(&self) -> u64 {
        self.preemptions.load(Ordering::Relaxed)
    }

    /// Takes no more images. Interactive images that wait are still given out; background images are dropped, also those that
    /// run.
    pub fn close(&self) {
        self.places.close();
        let mut state = self.lock();
        state.closed = true;
        for running in &mut state.running {
            running.told = true;
            running.calls.iter().for_each(|call| call.preempt());
        }
        let dropped = std::mem::take(&mut state.background);
        drop(state);
        self.changed.notify_all();
        // Their callers are told by it, and so not under the lock.
        drop(dropped);
    }

    /// Held by a worker as long as it lives: after the last one nobody waits in vain.
    pub fn worker(&self) -> Working<'_> {
        Working(self)
    }

    /// The state is whole between any two statements, so that a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts its worker out, however it ends.
pub(crate) struct Working<'a>(&'a Queue);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.workers = state.workers.saturating_sub(1);
        let last = state.workers == 0;
        drop(state);
        if last {
            self.0.close();
            let left = std::mem::take(&mut self.0.lock().interactive);
            drop(left);
        }
    }
}

/// Takes the elements at `places`, which ascend, out of a line.
fn remove<T>(line: &mut VecDeque<T>, places: &[usize]) -> Vec<T> {
    // from the back, so that the places before stay what they are
    let mut taken: Vec<T> = places.iter().rev().filter_map(|place| line.remove(*place)).collect();
    taken.reverse();
    taken
}
