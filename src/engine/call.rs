//! What a caller and a worker share of a call.

use ort::session::RunOptions;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// Whether the caller is gone, whether the worker is wanted elsewhere, and the run to stop in either case.
#[derive(Default)]
pub(crate) struct Call {
    gone: AtomicBool,
    preempted: AtomicBool,
    running: Mutex<Option<Arc<RunOptions>>>,
}

impl Call {
    /// The caller is gone: what waits is dropped, what runs is stopped (within some tens of milliseconds).
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

    /// Announces a run; false if it must not begin. The order (announce, then look) makes a stop at any instant seen by one
    /// side or the other.
    pub fn begin(&self, options: &Arc<RunOptions>) -> bool {
        *self.lock() = Some(options.clone());
        !self.is_gone() && !self.preempted.load(Ordering::SeqCst)
    }

    /// The run has ended.
    pub fn end(&self) {
        *self.lock() = None;
    }

    fn stop(&self) {
        if let Some(options) = self.lock().as_ref() {
            // A run that cannot be stopped comes to its own end.
            let _ = options.terminate();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<RunOptions>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
