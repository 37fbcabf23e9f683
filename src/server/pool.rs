//! Bounded pools for work of the CPU, which tell how long what comes now would wait.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Span;

use crate::error::ApiError;

/// How much of a mean the latest work is.
const LATEST: f64 = 0.2;

/// So much work at a time, the rest in the order in which it came.
pub struct Pool {
    places: Arc<Semaphore>,
    threads: u32,
    expected: Arc<Expected>,
}

/// What work is expected to take, by what it took lately.
#[derive(Default)]
struct Expected {
    /// Nanoseconds of all that waits or runs.
    pending: AtomicU64,
    unit: Mutex<Option<Unit>>,
}

/// Seconds a unit.
#[derive(Clone, Copy)]
struct Unit {
    mean: f64,
    /// Nearer than the mean where a machine has just become busy.
    last: f64,
}

impl Expected {
    fn of(&self, units: u64) -> Duration {
        let seconds = self.unit().map_or(0.0, |unit| unit.mean.max(unit.last)) * units as f64;
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }

    fn took(&self, units: u64, time: Duration) {
        let last = time.as_secs_f64() / units.max(1) as f64;
        let mut unit = self.unit();
        let mean = unit.map_or(last, |before| before.mean * (1.0 - LATEST) + last * LATEST);
        *unit = Some(Unit { mean, last });
    }

    /// What is locked is written whole.
    fn unit(&self) -> MutexGuard<'_, Option<Unit>> {
        self.unit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work that waits or runs, counted until it is dropped.
struct Pending {
    expected: Arc<Expected>,
    nanoseconds: u64,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.expected.pending.fetch_sub(self.nanoseconds, Ordering::Relaxed);
    }
}

/// A place in a pool, for one piece of work.
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool of so many threads.
    pub fn new(threads: usize) -> Pool {
        let threads = threads.clamp(1, Semaphore::MAX_PERMITS);
        Pool {
            places: Arc::new(Semaphore::new(threads)),
            threads: u32::try_from(threads).unwrap_or(u32::MAX),
            expected: Arc::default(),
        }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`ApiError::Internal`], which does not happen: pools are never closed.
    pub async fn place(&self) -> Result<Place, ApiError> {
        let permit = Arc::clone(&self.places).acquire_owned().await;
        permit.map(|_permit| Place { _permit }).map_err(|error| failed(&error))
    }

    /// Runs `work` that takes little, in the current span. Work that has begun is not stopped when the caller leaves.
    ///
    /// # Errors
    /// [`ApiError::Internal`] if `work` panics.
    pub async fn quick<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        self.place().await?.run(work).await
    }

    /// The same for work that is expected to take as long as so many `units` took lately. From what fails nothing is learned.
    ///
    /// # Errors
    /// [`ApiError::Internal`] if `work` panics.
    pub async fn run<T: Send + 'static, E: Send + 'static>(
        &self,
        units: u64,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, ApiError> {
        let nanoseconds = u64::try_from(self.expected.of(units).as_nanos()).unwrap_or(u64::MAX).min(1 << 48);
        self.expected.pending.fetch_add(nanoseconds, Ordering::Relaxed);
        let pending = Pending { expected: Arc::clone(&self.expected), nanoseconds };
        let work = move || {
            let start = Instant::now();
            let result = work();
            if result.is_ok() {
                pending.expected.took(units, start.elapsed());
            }
            drop(pending);
            result
        };
        self.place().await?.run(work).await
    }

    /// What so many units are expected to take of the whole pool.
    pub fn share(&self, units: u64) -> Duration {
        self.expected.of(units) / self.threads
    }

    /// How long work that comes now is expected to wait.
    pub fn delay(&self) -> Duration {
        Duration::from_nanos(self.expected.pending.load(Ordering::Relaxed)) / self.threads
    }
}

impl Place {
    /// Runs `work` in this place, in the current span.
    ///
    /// # Errors
    /// [`ApiError::Internal`] if `work` panics.
    pub async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let span = Span::current();
        let task = tokio::task::spawn_blocking(move || {
            // held by the work itself: a caller that leaves does not free the thread
            let _place = self;
            span.in_scope(|| {
                let start = Instant::now();
                let result = work();
                tracing::debug!(ms = start.elapsed().as_secs_f64() * 1e3, "done");
                result
            })
        });
        task.await.map_err(|error| failed(&error))
    }
}

fn failed(cause: &dyn Display) -> ApiError {
    ApiError::Internal(cause.to_string())
}
