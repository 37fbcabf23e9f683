//! Everything that is said of a run, from its results alone.

pub mod gallery;
pub mod html;
pub mod table;
pub mod terminal;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::analysis::{Confusion, Errors, Reliability};
use crate::pck::{Alphas, Average, Counts, Scores, Settings, score};
use crate::result::{KeypointResult, PairResult};

/// A run, measured. It does not depend on the order of the results, bit for bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = EvaluationReport))]
pub struct Report {
    /// How it was measured.
    pub settings: Settings,
    /// All pairs.
    pub overall: Scores,
    /// By category, in the order of their names. Their category means are themselves.
    pub categories: BTreeMap<String, Scores>,
    /// By difficulty flag and its value; flags that no pair has are left out.
    pub difficulty: Vec<DifficultyScores>,
    /// The geometry-aware subset; none where it cannot be told, or holds nothing.
    pub geometry_aware: Option<Scores>,
    /// PCK over α.
    pub curve: Curve,
    /// Left taken for right, at [`DETAIL_ALPHA`].
    pub confusion: Confusion,
    /// Distances to the truth.
    pub errors: Errors,
    /// What the confidence is worth, at [`DETAIL_ALPHA`].
    pub reliability: Reliability,
}

/// The α of confusion and reliability: the one that papers quote.
pub const DETAIL_ALPHA: f64 = 0.10;

/// PCK of the pairs with one value of a difficulty flag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DifficultyScores {
    /// Which flag.
    pub flag: Flag,
    /// Its value, as [`Difficulty`](crate::dataset::Difficulty) explains.
    pub value: u8,
    /// Their PCK.
    pub scores: Scores,
}

/// A difficulty flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DifficultyFlag))]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Difference of viewpoint.
    Viewpoint,
    /// Difference of scale.
    Scale,
    /// Truncation.
    Truncation,
    /// Occlusion.
    Occlusion,
}

impl Flag {
    /// All of them.
    pub const ALL: [Flag; 4] = [Flag::Viewpoint, Flag::Scale, Flag::Truncation, Flag::Occlusion];

    /// Its value for a pair.
    pub fn of(self, result: &PairResult) -> Option<u8> {
        match self {
            Flag::Viewpoint => result.difficulty.viewpoint,
            Flag::Scale => result.difficulty.scale,
            Flag::Truncation => result.difficulty.truncation,
            Flag::Occlusion => result.difficulty.occlusion,
        }
    }
}

/// PCK over a dense row of α, 0.002 to 0.2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Curve {
    /// The values of α.
    pub alphas: Vec<f64>,
    /// Per-image PCK at each.
    pub per_image: Vec<f64>,
    /// Per-point PCK at each.
    pub per_point: Vec<f64>,
}

impl Report {
    /// Measures a run.
    ///
    /// # Errors
    /// [`Error::NoThreshold`] if a pair lacks the extent that the threshold is to be a share of.
    pub fn new(results: &[PairResult], settings: &Settings) -> Result<Report, Error> {
        let mut by_category: BTreeMap<&str, Vec<&PairResult>> = BTreeMap::new();
        for result in results {
            by_category.entry(&result.category).or_default().push(result);
        }
        let mut categories = BTreeMap::new();
        for (name, results) in by_category {
            categories.insert(name.to_owned(), scores(results, settings, |_| true)?);
        }
        let geometry_aware = scores(results, settings, |keypoint| keypoint.geometry_aware == Some(true))?;
        Ok(Report {
            settings: settings.clone(),
            overall: scores(results, settings, |_| true)?,
            categories,
            difficulty: difficulty(results, settings)?,
            geometry_aware: (geometry_aware.pairs > 0).then_some(geometry_aware),
            curve: Curve::new(results, settings)?,
            confusion: Confusion::new(results, settings, DETAIL_ALPHA)?,
            errors: Errors::new(results, settings)?,
            reliability: Reliability::new(results, settings, DETAIL_ALPHA)?,
        })
    }

    /// PCK of the pairs with this value of a difficulty flag.
    pub fn difficulty(&self, flag: Flag, value: u8) -> Option<&Scores> {
        let group = self.difficulty.iter().find(|group| group.flag == flag && group.value == value);
        group.map(|group| &group.scores)
    }
}

impl Curve {
    fn new(results: &[PairResult], settings: &Settings) -> Result<Curve, Error> {
        let settings = Settings { alphas: Alphas::dense(0.002, 0.2)?, bootstrap: None, ..settings.clone() };
        let scores = scores(results, &settings, |_| true)?;
        let of = |average: Average| -> Vec<f64> {
            scores.scores.iter().filter(|score| score.average == average).map(|score| score.value).collect()
        };
        let (per_image, per_point) = (of(Average::PerImage), of(Average::PerPoint));
        Ok(Curve { alphas: settings.alphas.into(), per_image, per_point })
    }
}

fn scores<'a>(
    results: impl IntoIterator<Item = &'a PairResult>,
    settings: &Settings,
    counts: impl Fn(&KeypointResult) -> bool,
) -> Result<Scores, Error> {
    let counts = Counts::of(results, settings, counts)?;
    Ok(score(&counts, &settings.alphas, settings.bootstrap.as_ref()))
}

fn difficulty(results: &[PairResult], settings: &Settings) -> Result<Vec<DifficultyScores>, Error> {
    let mut by_value: BTreeMap<(Flag, u8), Vec<&PairResult>> = BTreeMap::new();
    for result in results {
        for flag in Flag::ALL {
            if let Some(value) = flag.of(result) {
                by_value.entry((flag, value)).or_default().push(result);
            }
        }
    }
    by_value
        .into_iter()
        .map(|((flag, value), results)| {
            Ok(DifficultyScores { flag, value, scores: scores(results, settings, |_| true)? })
        })
        .collect()
}
