//! The distribution of distances to the truth, as shares of the extent.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::pck::Settings;
use crate::result::PairResult;

/// Distribution of normalised errors: distance divided by the extent that thresholds are shares of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Errors {
    /// Keypoints.
    pub points: usize,
    /// Their mean; none without keypoints.
    pub mean: Option<f64>,
    /// The 10th, 25th, 50th, 75th and 90th percentile; empty without keypoints.
    pub percentiles: Vec<f64>,
    /// Counts; the last bin has no upper end.
    pub bins: Vec<ErrorBin>,
}

/// Keypoints whose error lies in `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBin {
    /// Least error.
    pub from: f64,
    /// Beyond the greatest; none for the last bin.
    pub to: Option<f64>,
    /// How many.
    pub points: usize,
}

/// Bins of 0.02 up to 1.
const BINS: u32 = 50;

impl Errors {
    /// Gathers the errors.
    ///
    /// # Errors
    /// [`Error::NoThreshold`].
    pub fn new(results: &[PairResult], settings: &Settings) -> Result<Errors, Error> {
        let mut errors = Vec::new();
        for result in results {
            let missing = || Error::NoThreshold { pair: result.pair.clone(), threshold: settings.threshold };
            let extent = result.extents.of(settings.threshold).ok_or_else(missing)?;
            errors.extend(result.keypoints.iter().map(|keypoint| keypoint.error / extent));
        }
        errors.sort_by(f64::total_cmp);
        let edge = |index: u32| f64::from(index) / f64::from(BINS);
        let below = |value: f64| errors.partition_point(|error| *error < value);
        let bin = |index: u32| {
            let to = (index < BINS).then(|| edge(index + 1));
            ErrorBin { from: edge(index), to, points: to.map_or(errors.len(), below) - below(edge(index)) }
        };
        let shares = [0.10, 0.25, 0.50, 0.75, 0.90];
        Ok(Errors {
            points: errors.len(),
            mean: (!errors.is_empty()).then(|| errors.iter().sum::<f64>() / errors.len() as f64),
            percentiles: shares.iter().filter_map(|share| crate::pck::percentile(&errors, *share)).collect(),
            bins: (0..=BINS).map(bin).collect(),
        })
    }
}
