//! What callers and a worker share of a run.

use ort::session::RunOptions;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// Whether the caller is gone, whether the worker is wanted elsewhere, and the run that the call is in.
#[derive(Default)]
pub(crate) struct Call {
    gone: AtomicBool,
    preempted: AtomicBool,
    running: Mutex<Option<Arc<Run>>>,
}

/// A run, and the calls that wait for it.
pub(crate) struct Run {
    options: RunOptions,
    calls: Vec<Arc<Call>>,
}

impl Call {
    /// The caller is gone: what waits is dropped, what runs is stopped (within some tens of milliseconds) unless others wait for it.
    pub fn cancel(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.stop();
    }

    /// The worker is wanted elsewhere: what runs is stopped, to be run again.
    pub fn preempt(&self) {
        self.preempted.store(true, Ordering::SeqCst);
        self.stop();
    }

    /// Whether the caller is gone.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// Whether it was preempted since this was last asked.
    pub fn take_preempted(&self) -> bool {
        self.preempted.swap(false, Ordering::SeqCst)
    }

    fn stop(&self) {
        let run = self.lock().clone();
        if let Some(run) = run.filter(|run| run.is_unwanted()) {
            // A run that cannot be stopped comes to its own end.
            let _ = run.options.terminate();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Run>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// Announces a run to those who wait for it; none if it must not begin. The order (announce, then look) makes a stop at any
    /// instant seen by one side or the other.
    pub fn begin(options: RunOptions, calls: Vec<Arc<Call>>) -> Option<Begun> {
        let run = Begun(Arc::new(Run { options, calls }));
        for call in &run.0.calls {
            *call.lock() = Some(run.0.clone());
        }
        (!run.0.is_unwanted()).then_some(run)
    }

    fn is_unwanted(&self) -> bool {
        let mut calls = self.calls.iter();
        calls.clone().any(|call| call.preempted.load(Ordering::SeqCst)) || calls.all(|call| call.is_gone())
    }
}

/// A run that is under way until this is dropped, by a panic too: run and calls hold each other as long.
pub(crate) struct Begun(Arc<Run>);

impl Begun {
    /// To be run with.
    pub fn options(&self) -> &RunOptions {
        &self.0.options
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        for call in &self.0.calls {
            *call.lock() = None;
        }
    }
}
