//! What requests that were taken still want of the workers, in time: one that would come too late, or make another late, is refused at
//! once, and not after it has waited.
//!
//! A request is counted when it makes the first of its images; those whose descriptors are kept, or made for another, cost nothing. What
//! decoding takes is counted with each image, and what waits to be searched (`pool.rs`) comes on top.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::app::App;
use crate::error::ApiError;
use crate::middleware;

/// What is expected is a mean, half of all take longer, and decoding and matching come on top. Whoever is refused for it was to wait for
/// long: the workers have work all the same.
const MARGIN: f64 = 1.5;

/// What a request still wants.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// Images that are not there yet.
    pub images: usize,
    /// How many of them go before whatever comes later: those that wait by now, or are taken first when their turn comes.
    pub ahead: usize,
    /// What one is expected to take of a worker.
    pub each: Duration,
    /// How long the request may still take; none where nobody set a bound.
    pub left: Option<Duration>,
}

impl Want {
    fn some(&self, images: usize) -> Duration {
        self.each.saturating_mul(u32::try_from(self.images.min(images)).unwrap_or(u32::MAX))
    }

    fn is_late(&self, after: Duration) -> bool {
        self.left.is_some_and(|left| after.mul_f64(MARGIN) > left)
    }
}

/// When the request at `place` of the line is expected to be through.
///
/// Of each request at most `window` images wait or run at a time, and a further one comes behind all that wait by then. So a request
/// waits for as many images of each before it as it has itself, or a window, and lets those behind it pass with as many as it has
/// beyond those that are [`ahead`](Want::ahead).
pub fn through(line: &[Want], place: usize, window: usize, workers: usize) -> Duration {
    let Some(own) = line.get(place) else { return Duration::ZERO };
    let (before, behind) = (own.images.max(window), own.images.saturating_sub(own.ahead));
    let others = line.iter().enumerate().filter(|(other, _)| *other != place);
    let others: Duration = others.map(|(other, want)| want.some(if other < place { before } else { behind })).sum();
    (own.some(own.images) + others) / u32::try_from(workers.max(1)).unwrap_or(u32::MAX)
}

/// When the last of the line is expected to be through, if it waits so long for others before it comes to the workers, and if that is
/// too late for it, though not because of itself alone: a request that has all to itself may try.
pub fn late(line: &[Want], delay: Duration, window: usize, workers: usize) -> Option<Duration> {
    let (last, before) = line.split_last()?;
    let workers_take = through(line, before.len(), window, workers);
    let after = delay.saturating_add(workers_take);
    let others = before.iter().any(|want| want.images > 0) || !last.is_late(workers_take);
    (others && last.is_late(after)).then_some(after)
}

/// Whether another of the line is late because of the last.
pub fn hurts(line: &[Want], window: usize, workers: usize) -> bool {
    let Some((_, before)) = line.split_last() else { return false };
    let is_late = |line: &[Want], place: usize| line[place].is_late(through(line, place, window, workers));
    // it passes nobody else
    let passed = before.iter().enumerate().filter(|(_, want)| want.images > want.ahead);
    let mut passed = passed.map(|(place, _)| place);
    passed.any(|place| is_late(line, place) && !is_late(before, place))
}

/// The requests that were counted, in the order in which they were.
#[derive(Default)]
pub struct Backlog(Mutex<Line>);

#[derive(Default)]
struct Line {
    entries: Vec<Entry>,
    /// The next request's number.
    next: u64,
}

struct Entry {
    number: u64,
    images: usize,
    ahead: usize,
    each: Duration,
    until: Option<Instant>,
}

impl Entry {
    fn want(&self, now: Instant) -> Want {
        let left = self.until.map(|until| until.saturating_duration_since(now));
        Want { images: self.images, ahead: self.ahead, each: self.each, left }
    }
}

/// A request's part of the backlog, given back when it is dropped.
pub struct Share {
    app: App,
    own: Mutex<Own>,
}

struct Own {
    images: usize,
    ahead: usize,
    each: Duration,
    /// Once the request is counted.
    number: Option<u64>,
}

impl Share {
    /// The share, not counted yet, of a request for so many images, so many of them [`ahead`](Want::ahead), of which each is expected
    /// to take so long.
    pub fn new(app: &App, images: usize, ahead: usize, each: Duration) -> Share {
        Share { app: app.clone(), own: Mutex::new(Own { images, ahead, each, number: None }) }
    }

    /// Asks whether a request will be in time that makes nothing, as far as that is known: by what waits to be searched.
    ///
    /// # Errors
    /// [`ApiError::QueueFull`]: the request is to be given up.
    pub fn admit(&self) -> Result<(), ApiError> {
        let (after, now, until) = (self.app.finishing().delay(), Instant::now(), until());
        let own = lock(&self.own);
        let entry = Entry { number: 0, images: 0, ahead: 0, each: own.each, until };
        match late(&[entry.want(now)], after, 1, 1) {
            Some(after) => Err(ApiError::QueueFull { waiting: self.app.engine()?.waiting(), after }),
            None => Ok(()),
        }
    }

    /// Counts the request, unless it is counted, and asks whether it will be in time. To be asked again when time has passed.
    ///
    /// # Errors
    /// [`ApiError::QueueFull`]: the request is to be given up, and is not counted unless it was.
    pub fn begin(&self) -> Result<(), ApiError> {
        let engine = self.app.engine()?;
        let (window, workers, now) = (self.app.at_a_time(), engine.workers(), Instant::now());
        let until = until();
        let full = |after| Err(ApiError::QueueFull { waiting: engine.waiting(), after });
        let mut own = lock(&self.own);
        let mut line = lock(&self.app.backlog().0);
        let number = own.number.unwrap_or(line.next);
        let mut wants: Vec<Want> =
            line.entries.iter().filter(|entry| entry.number < number).map(|entry| entry.want(now)).collect();
        let entry = Entry { number, images: own.images, ahead: own.ahead, each: own.each, until };
        wants.push(entry.want(now));
        if let Some(after) = late(&wants, self.app.finishing().delay(), window, workers) {
            return full(after);
        }
        if own.number.is_none() {
            if hurts(&wants, window, workers) {
                return full(through(&wants, wants.len() - 1, window, workers));
            }
            own.number = Some(number);
            line.next += 1;
            line.entries.push(entry);
        }
        Ok(())
    }

    /// Whether the request is counted: one of its images was new.
    pub fn has_begun(&self) -> bool {
        lock(&self.own).number.is_some()
    }

    /// One image less is wanted: it is there, or will not be.
    pub fn paid(&self) {
        let mut own = lock(&self.own);
        own.images = own.images.saturating_sub(1);
        if let Some(number) = own.number {
            let mut line = lock(&self.app.backlog().0);
            let entry = line.entries.iter_mut().find(|entry| entry.number == number);
            entry.into_iter().for_each(|entry| entry.images = own.images);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(number) = lock(&self.own).number {
            lock(&self.app.backlog().0).entries.retain(|entry| entry.number != number);
        }
    }
}

/// When the time of the request is over that asks.
fn until() -> Option<Instant> {
    middleware::deadline_of_task().map(|deadline| deadline.at)
}

/// What is locked is whole between any two statements.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
