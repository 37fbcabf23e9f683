//! Whether the confidence tells right matches from wrong ones.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::pck::Settings;
use crate::result::PairResult;

/// Confidence against what came of it, at one α.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reliability {
    /// The α at which a prediction is right.
    pub alpha: f64,
    /// Ten bins of equal width from 0 to 1; a confidence of 1 belongs to the last.
    pub bins: Vec<ReliabilityBin>,
    /// Expected calibration error: |mean confidence − share right| of the bins, weighted by their keypoints; none without any.
    /// Guo et al., "On Calibration of Modern Neural Networks", 2017.
    pub expected_calibration_error: Option<f64>,
    /// Probability that a right match has a higher confidence than a wrong one, ties counting half (area under the ROC curve);
    /// none unless there are both.
    pub auroc: Option<f64>,
}

/// Keypoints whose confidence lies in `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReliabilityBin {
    /// Least confidence.
    pub from: f64,
    /// Beyond the greatest.
    pub to: f64,
    /// How many.
    pub points: usize,
    /// Their mean confidence; none without keypoints.
    pub confidence: Option<f64>,
    /// The share of them that is right.
    pub right: Option<f64>,
}

const BINS: usize = 10;

impl Reliability {
    /// Compares confidence and outcome of every keypoint. A confidence that is not finite counts as 0.
    ///
    /// # Errors
    /// [`Error::NoThreshold`].
    pub fn new(results: &[PairResult], settings: &Settings, alpha: f64) -> Result<Reliability, Error> {
        let mut outcomes: Vec<(f64, bool)> = Vec::new();
        for result in results {
            let missing = || Error::NoThreshold { pair: result.pair.clone(), threshold: settings.threshold };
            let extent = result.extents.of(settings.threshold).ok_or_else(missing)?;
            outcomes.extend(result.keypoints.iter().map(|keypoint| {
                let confidence = f64::from(keypoint.confidence);
                let confidence = if confidence.is_finite() { confidence.clamp(0.0, 1.0) } else { 0.0 };
                (confidence, settings.operator.is_right(keypoint.error, alpha, extent))
            }));
        }
        // one order for one set of outcomes, so that sums do not depend on the order of the pairs
        outcomes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let bins: Vec<ReliabilityBin> = (0..BINS).map(|index| bin(&outcomes, index)).collect();
        let gap = |bin: &ReliabilityBin| Some(bin.points as f64 * (bin.confidence? - bin.right?).abs());
        let gaps: f64 = bins.iter().filter_map(gap).sum();
        let expected_calibration_error = (!outcomes.is_empty()).then(|| gaps / outcomes.len() as f64);
        Ok(Reliability { alpha, bins, expected_calibration_error, auroc: auroc(&outcomes) })
    }
}

fn bin(outcomes: &[(f64, bool)], index: usize) -> ReliabilityBin {
    let place = |confidence: f64| ((confidence * BINS as f64) as usize).min(BINS - 1);
    let inside: Vec<&(f64, bool)> = outcomes.iter().filter(|(confidence, _)| place(*confidence) == index).collect();
    let points = inside.len();
    let mean = |sum: f64| (points > 0).then(|| sum / points as f64);
    ReliabilityBin {
        from: index as f64 / BINS as f64,
        to: (index + 1) as f64 / BINS as f64,
        points,
        confidence: mean(inside.iter().map(|(confidence, _)| confidence).sum()),
        right: mean(inside.iter().filter(|(_, right)| *right).count() as f64),
    }
}

/// Mann and Whitney's statistic, by the mean ranks of ties. `outcomes` ascend by confidence.
fn auroc(outcomes: &[(f64, bool)]) -> Option<f64> {
    let right = outcomes.iter().filter(|(_, right)| *right).count();
    let wrong = outcomes.len() - right;
    if right == 0 || wrong == 0 {
        return None;
    }
    let mut ranks = 0.0;
    let mut before = 0;
    for ties in outcomes.chunk_by(|a, b| a.0 == b.0) {
        let rank = before as f64 + (ties.len() + 1) as f64 / 2.0;
        ranks += rank * ties.iter().filter(|(_, right)| *right).count() as f64;
        before += ties.len();
    }
    let (right, wrong) = (right as f64, wrong as f64);
    Some((ranks - right * (right + 1.0) / 2.0) / (right * wrong))
}
