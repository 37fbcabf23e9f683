//! Where batches come from.

pub mod targets;
