//! What is kept of a pair that was run: every prediction with its truth, and all that measuring it later takes.

use homolog_core::geometry::Point;
use homolog_core::matching::Match;
use serde::{Deserialize, Serialize};

use crate::dataset::{Bounds, Dataset, Difficulty, Pair};
use crate::pck::Threshold;

/// A pair's predictions. It stands on its own: metrics need no dataset beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PairResult {
    /// The pair's name in its dataset.
    pub pair: String,
    /// Its category.
    pub category: String,
    /// How hard it is, as annotated.
    pub difficulty: Difficulty,
    /// The extents that a threshold may be a share of.
    pub extents: Extents,
    /// One for each common keypoint, in the order of the dataset.
    pub keypoints: Vec<KeypointResult>,
}

/// Extents in the *target* image, px of the original; all above 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Extents {
    /// Longer side of the object's box.
    pub target_box: Option<f64>,
    /// Longer side of the box round the pair's keypoints.
    pub keypoints: Option<f64>,
    /// Longer side of the image.
    pub image: Option<f64>,
}

/// A keypoint of the source, found in the target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeypointResult {
    /// Which part it is.
    pub id: String,
    /// Its place in the source, px.
    pub source: Point,
    /// Where it was found in the target, px.
    pub prediction: Point,
    /// Where it is in the target, px.
    pub truth: Point,
    /// Distance of the two, px.
    pub error: f64,
    /// Cosine similarity of the source's descriptor to the best token.
    pub similarity: f32,
    /// Share of the softmax that lies in the window round that token, 0 to 1.
    pub confidence: f32,
    /// How near the best token outside that window comes to it.
    pub ratio: Option<f32>,
    /// How far the prediction, matched back, comes from where it started, px of the source.
    pub cycle_error: Option<f64>,
    /// Whether it belongs to the geometry-aware subset; none where that cannot be told.
    pub geometry_aware: Option<bool>,
    /// Where the target shows the part that this one changes places with under mirroring; none if it does not show it.
    pub partner: Option<Point>,
}

impl Extents {
    /// The extent that a threshold is a share of, px.
    pub fn of(&self, threshold: Threshold) -> Option<f64> {
        let extent = match threshold {
            Threshold::Box => self.target_box,
            Threshold::Keypoints => self.keypoints,
            Threshold::Image => self.image,
        };
        extent.filter(|extent| *extent > 0.0)
    }

    fn new(dataset: &Dataset, pair: &Pair) -> Extents {
        let keypoints = Bounds::around(pair.keypoints.iter().map(|keypoint| keypoint.target));
        let image = dataset.images.get(pair.target).map(|image| f64::from(image.size.width.max(image.size.height)));
        Extents {
            target_box: pair.target_box.map(|bounds| bounds.extent()),
            keypoints: keypoints.map(|bounds| bounds.extent()).filter(|extent| *extent > 0.0),
            image,
        }
    }
}

impl PairResult {
    /// The predictions of `matches`, which are those of the pair's keypoints, in their order.
    pub fn new(dataset: &Dataset, pair: &Pair, matches: &[Match]) -> PairResult {
        let category = dataset.categories.get(pair.category);
        let symmetry = category.and_then(|category| category.symmetry.as_deref());
        let geometry = symmetry.zip(pair.target_visible.as_deref()).map(|(symmetry, visible)| {
            let visible: Vec<&str> = visible.iter().map(|(id, _)| id.as_str()).collect();
            geometry_aware(symmetry.groups(), &visible)
        });
        let place = |id: &str| pair.target_visible.as_deref()?.iter().find(|(other, _)| other == id).map(|(_, at)| *at);
        let keypoints = pair.keypoints.iter().zip(matches).map(|(keypoint, found)| KeypointResult {
            id: keypoint.id.clone(),
            source: keypoint.source,
            prediction: found.point,
            truth: keypoint.target,
            error: found.point.distance(keypoint.target),
            similarity: found.similarity,
            confidence: found.confidence,
            ratio: found.ratio,
            cycle_error: found.cycle_error,
            geometry_aware: geometry.as_ref().map(|ids| ids.contains(&keypoint.id.as_str())),
            partner: symmetry.and_then(|symmetry| symmetry.partner(&keypoint.id)).and_then(place),
        });
        PairResult {
            pair: pair.id.clone(),
            category: category.map(|category| category.name.clone()).unwrap_or_default(),
            difficulty: pair.difficulty,
            extents: Extents::new(dataset, pair),
            keypoints: keypoints.collect(),
        }
    }
}

/// Ids of the geometry-aware subset: those of groups of which the target shows two members at least. A common keypoint with
/// such an id counts. GeoAware-SC, pck_train.py: of each group `len(visible in target) >= 2 and len(mutual) >= 1`, and then every
/// mutual member; the second condition holds wherever a common keypoint is asked about.
fn geometry_aware<'a>(groups: &'a [Vec<String>], visible: &[&str]) -> Vec<&'a str> {
    let shown = |group: &&Vec<String>| group.iter().filter(|id| visible.contains(&id.as_str())).count() >= 2;
    groups.iter().filter(shown).flatten().map(String::as_str).collect()
}
