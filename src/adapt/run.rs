//! What a run leaves in its folder, and how it is taken up again.
//!
//! A run writes three kinds of file: those that are replaced whole (checkpoints, plots), of which there is always a good one; logs that
//! only grow, and are cut back to the checkpoint's step when a run goes on; and its configuration, which does not change.

pub mod checkpoint;
mod file;
mod folder;
mod metrics;
mod plots;
mod progress;
mod tensorboard;

pub use checkpoint::{Best, Checkpoint, State};
pub use folder::Folder;
pub(crate) use metrics::Metrics;
pub use metrics::Record;
pub(crate) use plots::draw;
pub(crate) use progress::Progress;
pub(crate) use tensorboard::Events;
