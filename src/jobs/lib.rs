//! Durable evaluations: what is asked for is kept, results are kept as they are made, and whatever ends a process ends no job.
//!
//! A [`Specification`] says what is evaluated, completely. [`Jobs`] takes it, cuts it into shards that share no image
//! ([`dataset`]), and works on whatever the [`Store`] has, alone or with other processes. The service and the command line use
//! the same.
//!
//! Knows nothing about HTTP.

pub mod dataset;
mod error;
mod jobs;
mod outcome;
mod run;
mod specification;
mod store;
mod work;

pub use error::Error;
pub use jobs::{Jobs, Measure, Settings};
pub use specification::{DatasetEntry, RunSpec, Source, Specification, code_version};
pub use store::{
    Address, Created, Done, ImageInfo, Job, Key, Lease, NewJob, Progress, RunningPck, Shard, ShardProgress, State,
    Store, Stored,
};

/// The α of the PCK that progress shows: the one that papers quote.
pub const ALPHA: f64 = homolog_eval::report::DETAIL_ALPHA;
