//! Benchmarks of semantic correspondence: reading them, running models over them, and measuring the result.
//!
//! [`readers`] turn a benchmark's files into a [`Dataset`]; the [`runner`] takes its pairs through an [`Encoder`](runner::Encoder)
//! and the matchers of `homolog-core` and hands out a [`PairResult`](result::PairResult) for each; everything else is a pure
//! function of those results: [`pck`], its intervals and the comparison of two runs, [`analysis`], and the [`report`] with all
//! of them. A finished evaluation is a [`document`], an [`Evaluation`], which is written as JSON, CSV ([`report::table`]), text
//! ([`report::terminal`]) or a page ([`report::html`]). A result holds its own truth and thresholds, so that stored results can be scored again in another way.
//!
//! Knows nothing about ONNX Runtime, HTTP, jobs or databases.

pub mod analysis;
pub mod dataset;
pub mod document;
pub mod error;
pub mod pck;
pub mod readers;
pub mod report;
pub mod result;
pub mod runner;
pub mod symmetry;

pub use dataset::Dataset;
pub use document::Evaluation;
pub use error::Error;
