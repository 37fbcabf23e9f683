//! Left taken for right: wrong predictions that lie nearer to the mirror partner's true place than to their own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::pck::Settings;
use crate::result::PairResult;

/// Confusion between mirror partners at one α, over the keypoints whose partner the target shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Confusion {
    /// The α at which a prediction is wrong.
    pub alpha: f64,
    /// Over all categories.
    pub all: ConfusionRow,
    /// By category, in the order of their names; categories without such keypoints are left out.
    pub categories: BTreeMap<String, ConfusionRow>,
    /// By category and keypoint.
    pub keypoints: BTreeMap<String, BTreeMap<String, ConfusionRow>>,
}

/// Counts of keypoints whose partner the target shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConfusionRow {
    /// All of them.
    pub points: usize,
    /// Those that were not found.
    pub wrong: usize,
    /// Those of them that lie nearer to the partner.
    pub confused: usize,
}

impl ConfusionRow {
    /// The share of confused keypoints; none without keypoints.
    pub fn share(&self) -> Option<f64> {
        (self.points > 0).then(|| self.confused as f64 / self.points as f64)
    }

    fn add(&mut self, wrong: bool, confused: bool) {
        self.points += 1;
        self.wrong += usize::from(wrong);
        self.confused += usize::from(wrong && confused);
    }
}

impl Confusion {
    /// Counts the confusions. A prediction as near to the one as to the other is not one.
    ///
    /// # Errors
    /// [`Error::NoThreshold`].
    pub fn new(results: &[PairResult], settings: &Settings, alpha: f64) -> Result<Confusion, Error> {
        let mut confusion =
            Confusion { alpha, all: ConfusionRow::default(), categories: BTreeMap::new(), keypoints: BTreeMap::new() };
        for result in results {
            let missing = || Error::NoThreshold { pair: result.pair.clone(), threshold: settings.threshold };
            let extent = result.extents.of(settings.threshold).ok_or_else(missing)?;
            for keypoint in &result.keypoints {
                let Some(partner) = keypoint.partner else { continue };
                let wrong = !settings.operator.is_right(keypoint.error, alpha, extent);
                let confused = keypoint.prediction.distance(partner) < keypoint.error;
                confusion.all.add(wrong, confused);
                confusion.categories.entry(result.category.clone()).or_default().add(wrong, confused);
                let keypoints = confusion.keypoints.entry(result.category.clone()).or_default();
                keypoints.entry(keypoint.id.clone()).or_default().add(wrong, confused);
            }
        }
        Ok(confusion)
    }
}
