//! A benchmark as the rest of this crate sees it, whatever files it came from.

mod builder;
mod groups;
mod problem;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use homolog_core::geometry::{Point, Size};
use serde::{Deserialize, Serialize};

use crate::pck::Threshold;
use crate::symmetry::Symmetry;
pub(crate) use builder::{Builder, Entry, Fault, Side, mutual};
pub use problem::{Problem, ProblemKind};

/// Images, the pairs among them, and what was wrong with the rest.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Its name, say `spair71k/test`.
    pub name: String,
    /// Every image that a pair uses, each once.
    pub images: Vec<Image>,
    /// The categories, in the order in which they appear.
    pub categories: Vec<Category>,
    /// The pairs that can be evaluated, in the order of the list; at least one.
    pub pairs: Vec<Pair>,
    /// What was wrong, in the order of the list.
    pub problems: Vec<Problem>,
    /// How many pairs the list names, those left out included.
    pub listed: usize,
    /// Where the threshold is taken from unless it is said otherwise.
    pub threshold: Threshold,
}

/// An image of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its file.
    pub path: PathBuf,
    /// Its dimensions as displayed, px: as annotated, or as the file's header says.
    pub size: Size,
}

/// A category of objects.
#[derive(Clone, Debug)]
pub struct Category {
    /// Its name.
    pub name: String,
    /// Which of its keypoints are each other's mirror image or look alike; none where that is not known.
    pub symmetry: Option<Arc<Symmetry>>,
}

/// Two images of an object with the keypoints that both show.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Its name, unique in the dataset and the same whenever it is read.
    pub id: String,
    /// Index of the source in [`Dataset::images`].
    pub source: usize,
    /// Index of the target in [`Dataset::images`].
    pub target: usize,
    /// Index in [`Dataset::categories`].
    pub category: usize,
    /// The keypoints visible in both images; at least one.
    pub keypoints: Vec<Keypoint>,
    /// The object in the source, if it is annotated.
    pub source_box: Option<Bounds>,
    /// The object in the target, if it is annotated.
    pub target_box: Option<Bounds>,
    /// How hard the pair is, as annotated.
    pub difficulty: Difficulty,
    /// Every keypoint visible in the target, whether or not the source shows it; none where that is not known.
    pub target_visible: Option<Arc<[(String, Point)]>>,
}

/// A part that both images of a pair show.
#[derive(Clone, Debug, PartialEq)]
pub struct Keypoint {
    /// Which part of its category's objects it is.
    pub id: String,
    /// Its place in the source, px.
    pub source: Point,
    /// Its place in the target, px.
    pub target: Point,
}

/// An upright rectangle, px.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Bounds {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Bounds {
    /// From `[left, top, right, bottom]`; none unless all are finite and its longer side is above 0.
    pub fn from_corners([left, top, right, bottom]: [f64; 4]) -> Option<Bounds> {
        Bounds { x: left, y: top, width: right - left, height: bottom - top }.checked()
    }

    /// From `[left, top, width, height]`; none unless all are finite and its longer side is above 0.
    pub fn from_size([x, y, width, height]: [f64; 4]) -> Option<Bounds> {
        Bounds { x, y, width, height }.checked()
    }

    /// The smallest that holds all of the points; none without a point. One point gives a rectangle without extent.
    pub fn around(points: impl IntoIterator<Item = Point>) -> Option<Bounds> {
        let mut corners: Option<[f64; 4]> = None;
        for Point { x, y } in points {
            let [left, top, right, bottom] = corners.unwrap_or([x, y, x, y]);
            corners = Some([left.min(x), top.min(y), right.max(x), bottom.max(y)]);
        }
        let [left, top, right, bottom] = corners?;
        Some(Bounds { x: left, y: top, width: right - left, height: bottom - top })
    }

    /// The longer side, px: what a threshold is a share of.
    pub fn extent(&self) -> f64 {
        self.width.max(self.height)
    }

    fn checked(self) -> Option<Bounds> {
        let finite = [self.x, self.y, self.width, self.height].iter().all(|value| value.is_finite());
        (finite && self.width >= 0.0 && self.height >= 0.0 && self.extent() > 0.0).then_some(self)
    }
}

/// How hard a pair is, in SPair-71k's terms; none where a dataset does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Difficulty {
    /// Difference of viewpoint: 0 easy, 1 medium, 2 difficult.
    pub viewpoint: Option<u8>,
    /// Difference of scale: 0 easy, 1 medium, 2 difficult.
    pub scale: Option<u8>,
    /// Truncation: 0 none, 1 source, 2 target, 3 both.
    pub truncation: Option<u8>,
    /// Occlusion: 0 none, 1 source, 2 target, 3 both.
    pub occlusion: Option<u8>,
}

impl Dataset {
    /// Indices of the pairs whose names are not in `done`, in the order of the list: what a run that was interrupted has left.
    pub fn pairs_except(&self, done: &HashSet<String>) -> Vec<usize> {
        self.pairs.iter().enumerate().filter(|(_, pair)| !done.contains(&pair.id)).map(|(index, _)| index).collect()
    }

    /// How many listed pairs are not evaluated, each with a [`Problem`] that names it.
    pub fn left_out(&self) -> usize {
        self.listed - self.pairs.len()
    }
}
