//! PCK, the percentage of correct keypoints, with its settings, averages and intervals.
//!
//! A prediction is right at α if its distance to the truth is at most α times an extent of the *target*, in pixels of the
//! original image. The field averages that in several ways and mixes them up, so an [`Average`] is named wherever a number is.

mod bootstrap;
mod compare;
mod counts;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;
pub(crate) use bootstrap::percentile;
pub use bootstrap::{Bootstrap, Interval};
pub use compare::{Change, Comparison, Difference, compare};
pub use counts::{Counts, Score, Scores, score};

/// How PCK is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PckSettings))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Shares of the extent, ascending.
    pub alphas: Alphas,
    /// Whether a distance equal to the threshold is right.
    pub operator: Operator,
    /// What the threshold is a share of.
    pub threshold: Threshold,
    /// How intervals are made; null for none.
    pub bootstrap: Option<Bootstrap>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            alphas: Alphas::default(),
            operator: Operator::default(),
            threshold: Threshold::default(),
            bootstrap: Some(Bootstrap::default()),
        }
    }
}

/// Values of α: at least one, finite, above 0, ascending without repetition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct Alphas(Vec<f64>);

impl Alphas {
    /// A dense row from `step` to `most`, for a curve: the nearest f64 to each multiple of a decimal step.
    pub fn dense(step: f64, most: f64) -> Result<Alphas, Error> {
        // divided rather than multiplied: 3 / 100 is 0.03, and 3 × 0.01 is not
        let per_unit = (1.0 / step).round();
        let count = (most * per_unit).round();
        if !(per_unit.is_finite() && per_unit >= 1.0 && (1.0..=100_000.0).contains(&count)) {
            return Err(Error::Setting {
                name: "step of the curve",
                range: "a unit fraction",
                found: step.to_string(),
            });
        }
        Alphas::try_from((1..=count as u32).map(|k| f64::from(k) / per_unit).collect::<Vec<f64>>())
    }
}

impl Default for Alphas {
    fn default() -> Alphas {
        Alphas(vec![0.01, 0.05, 0.10, 0.15, 0.20])
    }
}

impl std::ops::Deref for Alphas {
    type Target = [f64];

    fn deref(&self) -> &[f64] {
        &self.0
    }
}

impl TryFrom<Vec<f64>> for Alphas {
    type Error = Error;

    fn try_from(alphas: Vec<f64>) -> Result<Alphas, Error> {
        let ascending = alphas.windows(2).all(|two| two[0] < two[1]);
        let positive = alphas.first().is_some_and(|first| *first > 0.0) && alphas.iter().all(|alpha| alpha.is_finite());
        if ascending && positive {
            Ok(Alphas(alphas))
        } else {
            let found = format!("{alphas:?}");
            Err(Error::Setting { name: "alphas", range: "numbers above 0 in ascending order", found })
        }
    }
}

impl From<Alphas> for Vec<f64> {
    fn from(alphas: Alphas) -> Vec<f64> {
        alphas.0
    }
}

macro_rules! words {
    ($type:ident, $what:literal, $choices:literal, $($variant:ident = $word:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($type::$variant => $word),+
                })
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<$type, Error> {
                match text {
                    $($word => Ok($type::$variant),)+
                    _ => Err(Error::UnknownChoice { what: $what, found: text.to_owned(), choices: $choices }),
                }
            }
        }
    };
}

/// Whether a distance equal to the threshold is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Operator {
    /// It is: hpf, DIFT, Visual-AI.
    #[default]
    #[serde(rename = "<=")]
    AtMost,
    /// It is not: GeoAware-SC, sd-dino.
    #[serde(rename = "<")]
    Below,
}

words!(Operator, "operator", "<=, <", AtMost = "<=", Below = "<");

impl Operator {
    /// Whether a prediction `error` px from the truth is right at `alpha` of `extent` px. A NaN never is.
    pub fn is_right(self, error: f64, alpha: f64, extent: f64) -> bool {
        match self {
            Operator::AtMost => error <= alpha * extent,
            Operator::Below => error < alpha * extent,
        }
    }
}

/// What the threshold is a share of, always in the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// The longer side of the object's box: SPair-71k, AP-10K.
    #[default]
    Box,
    /// The longer side of the box round the keypoints: PF-WILLOW.
    Keypoints,
    /// The longer side of the image: PF-PASCAL.
    Image,
}

words!(Threshold, "threshold", "box, keypoints, image", Box = "box", Keypoints = "keypoints", Image = "image");

/// The ways to make one number of many hits. Papers mix them, and they differ by several points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// The share of right keypoints of each pair, averaged over the pairs.
    PerImage,
    /// The share of right keypoints among all keypoints.
    PerPoint,
    /// The mean of the categories' per-image numbers.
    PerImageCategoryMean,
    /// The mean of the categories' per-point numbers.
    PerPointCategoryMean,
}

impl Average {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Average; 4] =
        [Average::PerImage, Average::PerPoint, Average::PerImageCategoryMean, Average::PerPointCategoryMean];
}

words!(
    Average,
    "average",
    "per_image, per_point, per_image_category_mean, per_point_category_mean",
    PerImage = "per_image",
    PerPoint = "per_point",
    PerImageCategoryMean = "per_image_category_mean",
    PerPointCategoryMean = "per_point_category_mean"
);
