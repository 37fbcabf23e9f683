//! Runs against each other, within a document and between two.

use super::{Evaluation, Run, RunComparison};
use crate::Error;
use crate::pck::{self, Settings};
use crate::report::DETAIL_ALPHA;

/// Pairs that a comparison names as those that changed most.
const MOST_CHANGED: usize = 20;

/// Compares the runs of two documents by the settings of the first: the only run of each, or else the runs of the same name.
///
/// # Errors
/// [`Error::Incomparable`] if no run has a counterpart; [`Error::NothingInCommon`]; [`Error::NoPredictions`];
/// [`Error::NoThreshold`].
pub fn compare(first: &Evaluation, second: &Evaluation) -> Result<Vec<RunComparison>, Error> {
    if let ([one], [other]) = (first.runs.as_slice(), second.runs.as_slice()) {
        return Ok(vec![two(one, other, &first.settings)?]);
    }
    let common: Vec<(&Run, &Run)> = first.runs.iter().filter_map(|run| Some((run, second.run(&run.name)?))).collect();
    if common.is_empty() {
        let names = |evaluation: &Evaluation| {
            evaluation.runs.iter().map(|run| format!("`{}`", run.name)).collect::<Vec<_>>().join(", ")
        };
        let detail = format!("no run of {} has its name among {}", names(first), names(second));
        return Err(Error::Incomparable { detail });
    }
    common.into_iter().map(|(one, other)| two(one, other, &first.settings)).collect()
}

/// Each two runs, in their order. Two without a pair in common are passed over.
pub(super) fn each_two(runs: &[Run], settings: &Settings) -> Result<Vec<RunComparison>, Error> {
    let mut comparisons = Vec::new();
    for (place, one) in runs.iter().enumerate() {
        for other in runs.get(place + 1..).unwrap_or_default() {
            match two(one, other, settings) {
                Ok(comparison) => comparisons.push(comparison),
                Err(Error::NothingInCommon) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(comparisons)
}

fn two(one: &Run, other: &Run, settings: &Settings) -> Result<RunComparison, Error> {
    let comparison =
        pck::compare(one.predictions()?, other.predictions()?, settings, settings.detail_alpha(), MOST_CHANGED)?;
    Ok(RunComparison { first: one.name.clone(), second: other.name.clone(), comparison })
}

impl Settings {
    /// The α at which single pairs are looked at: [`DETAIL_ALPHA`] where it is one of these settings, otherwise the greatest.
    pub fn detail_alpha(&self) -> f64 {
        let greatest = self.alphas.last().copied().unwrap_or(DETAIL_ALPHA);
        if self.alphas.contains(&DETAIL_ALPHA) { DETAIL_ALPHA } else { greatest }
    }
}
