//! Batches that are read while the step before is computed.

use crate::{Batch, Batches, Error};
use std::{
    ops::Range,
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

/// The batches of the steps to come, in their order.
pub(super) struct Ahead(Receiver<Result<Vec<Batch>, Error>>);

impl Ahead {
    /// The next step's.
    pub fn next(&self) -> Result<Vec<Batch>, Error> {
        self.0.recv().unwrap_or_else(|_| Err(Error::Compute("the thread that reads batches has ended".into())))
    }
}

/// Does `work` while a thread reads the batches of `steps`, one step ahead.
pub(super) fn ahead<T>(
    batches: &dyn Batches,
    mut steps: Range<u64>,
    work: impl FnOnce(Ahead) -> Result<T, Error>,
) -> Result<T, Error> {
    thread::scope(|scope| {
        // without room: what has been read waits here, and nothing more is read
        let (sender, receiver) = sync_channel(0);
        let reader = scope.spawn(move || {
            steps.all(|step| {
                let batch = batches.batch(step);
                let good = batch.is_ok();
                sender.send(batch).is_ok() && good
            })
        });
        // takes the receiver along, so that the thread ends with it
        let outcome = work(Ahead(receiver));
        // one that panicked has said so, and `next` has failed for it
        let _ = reader.join();
        outcome
    })
}
