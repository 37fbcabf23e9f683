//! What the service answers; the command line prints the same.

mod eval;
pub mod lines;

use homolog_core::bundle::Manifest;
use homolog_core::features::{Dtype, Sampling};
use homolog_core::geometry::{CellMap, Fit, Grid, Point, Size};
use homolog_core::matching::{Candidate, Match, Matcher, View};
use homolog_engine::Model;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{ApiError, Problem};
pub use eval::{EvalList, EvalResponse};

/// The points, found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MatchResponse {
    /// The model that was taken.
    pub model: String,
    /// Side of the network's input, px.
    pub resolution: u32,
    /// How places were read off the similarities.
    pub matcher: Matcher,
    /// How the source was read between its tokens.
    pub sampling: Sampling,
    /// The source as displayed.
    pub source: Size,
    /// The targets, in the order of the request.
    pub targets: Vec<TargetMatches>,
}

/// What [`MatchResponse`] says before its targets.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MatchStart {
    /// The model that was taken.
    pub model: String,
    /// Side of the network's input, px.
    pub resolution: u32,
    /// How places were read off the similarities.
    pub matcher: Matcher,
    /// How the source was read between its tokens.
    pub sampling: Sampling,
    /// The source as displayed.
    pub source: Size,
}

/// A line of an answer that comes as its targets are ready.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum MatchLine {
    /// The first.
    Start(MatchStart),
    /// A target, in the order in which they are ready.
    Target {
        /// Its place in the request, from 0.
        target: usize,
        /// The points in it.
        #[serde(flatten)]
        matches: TargetMatches,
    },
    /// A target that could not be searched; without `target` the answer ends here.
    Problem {
        /// Its place in the request, from 0.
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<usize>,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The last: without it the answer is not whole.
    End {
        /// True.
        done: bool,
    },
}

/// The points in one target.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TargetMatches {
    /// Width of the target as displayed, px.
    pub width: u32,
    /// Its height, px.
    pub height: u32,
    /// One match a point, in the order of the request.
    pub matches: Vec<PointMatch>,
}

/// Where a point of the source lies in the target.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PointMatch {
    /// The point of the source, as it was sent.
    pub source: Point,
    /// The place in the target, px.
    pub target: Point,
    /// Cosine similarity of the point to the most similar token, from -1 to 1.
    pub similarity: f32,
    /// Share of the softmax over all tokens that lies in the window round the most similar one, from 0 to 1.
    pub confidence: f32,
    /// How near the best token outside that window comes to the most similar one; null where there is none outside.
    #[schema(required)]
    pub ratio: Option<f32>,
    /// Distance of the point to its match matched back, px of the source; null unless `cycle` was asked for.
    #[schema(required)]
    pub cycle_error: Option<f64>,
    /// The best places, best first; at most `top_k`.
    pub candidates: Vec<Place>,
}

/// One of several places that a point may lie at.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Place {
    /// The place in the target, px.
    pub target: Point,
    /// As that of the match.
    pub similarity: f32,
    /// As that of the match.
    pub confidence: f32,
}

impl TargetMatches {
    /// The answer for one target.
    pub fn new(size: Size, points: &[Point], matches: Vec<Match>) -> TargetMatches {
        let Size { width, height } = size;
        let pairs = points.iter().zip(matches);
        let matches = pairs.map(|(&source, found)| PointMatch {
            source,
            target: found.point,
            similarity: found.similarity,
            confidence: found.confidence,
            ratio: found.ratio,
            cycle_error: found.cycle_error,
            candidates: found.candidates.iter().map(Place::from).collect(),
        });
        TargetMatches { width, height, matches: matches.collect() }
    }
}

impl From<&Candidate> for Place {
    fn from(candidate: &Candidate) -> Place {
        Place { target: candidate.point, similarity: candidate.similarity, confidence: candidate.confidence }
    }
}

/// What the numbers of `POST /describe` are: enough to read them, to find a pixel's cell and a cell's pixel, and to make them again.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Description {
    /// The model that was taken.
    pub model: String,
    /// Its digest, as in its card.
    pub digest: String,
    /// Side of the network's input, px.
    pub resolution: u32,
    /// Whether each descriptor was divided by its Euclidean length.
    pub normalised: bool,
    /// The numbers in the file.
    pub dtype: Dtype,
    /// Rows, columns and channels of the array.
    pub shape: [usize; 3],
    /// Its cells, one a token.
    pub grid: Grid,
    /// How the image was brought onto the network's canvas.
    pub fit: Fit,
    /// Where the cells' centres lie in the image.
    pub cell_to_pixel: CellMap,
    /// The cells that see the image; those outside are padding, and never matched.
    pub content: Cells,
}

/// A rectangle of cells.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Cells {
    /// The first row, and the one after the last.
    pub rows: [usize; 2],
    /// The first column, and the one after the last.
    pub columns: [usize; 2],
}

impl Description {
    /// Of the descriptors in `view`.
    pub fn new(model: &Model, resolution: u32, view: &View<'_>, normalised: bool, dtype: Dtype) -> Description {
        let grid = view.features.grid();
        let (rows, columns) = view.fit.content_tokens();
        Description {
            model: model.manifest().id.clone(),
            digest: model.bundle().digest(),
            resolution,
            normalised,
            dtype,
            shape: [grid.height, grid.width, view.features.channels()],
            grid,
            fit: *view.fit,
            cell_to_pixel: view.fit.cell_map(),
            content: Cells { rows: [rows.start, rows.end], columns: [columns.start, columns.end] },
        }
    }
}

/// The bytes of a file; here for the specification only.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct Binary(#[allow(dead_code)] Vec<u8>);

/// The models that are loaded.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelList {
    /// In the order of their ids.
    pub models: Vec<ModelSummary>,
}

/// What one needs to know to choose a model and to ask for it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelSummary {
    /// What a request calls it.
    pub id: String,
    /// One or two sentences for whoever chooses.
    pub description: String,
    /// Whether it is taken when a request names none.
    pub default: bool,
    /// The network, say `dinov2-vitb14`.
    pub backbone: String,
    /// Other models on the very same backbone, which is in memory once for all of them.
    pub shares_backbone_with: Vec<String>,
    /// Sides of the input that may be asked for, px.
    pub resolutions: Vec<u32>,
    /// The side when none is asked for, px.
    pub default_resolution: u32,
    /// The matcher when none is asked for.
    pub matcher: Matcher,
    /// What it runs on: `cpu` or `cuda`.
    pub provider: String,
}

/// A model's card.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelCard {
    /// What a request calls it.
    pub id: String,
    /// Whether it is taken when a request names none.
    pub default: bool,
    /// What it runs on: `cpu` or `cuda`.
    pub provider: String,
    /// SHA-256 over its files and whatever its manifest says of how they are run: the same digest, the same answers.
    pub digest: String,
    /// All that its bundle says of it.
    pub manifest: Manifest,
}

impl ModelList {
    /// All that is loaded.
    ///
    /// # Errors
    /// [`ApiError::NotReady`] until it is.
    pub fn new(app: &App) -> Result<ModelList, ApiError> {
        let engine = app.engine()?;
        let summary = |model: &Model| {
            let manifest = model.manifest();
            ModelSummary {
                id: manifest.id.clone(),
                description: manifest.description.clone(),
                default: is_default(app, model),
                backbone: manifest.backbone.name.clone(),
                shares_backbone_with: engine
                    .models()
                    .filter(|other| other.backbone_key() == model.backbone_key())
                    .map(|other| other.manifest().id.clone())
                    .filter(|id| *id != manifest.id)
                    .collect(),
                resolutions: manifest.resolutions.clone(),
                default_resolution: manifest.default_resolution,
                matcher: manifest.matcher,
                provider: engine.provider().to_string(),
            }
        };
        Ok(ModelList { models: engine.models().map(summary).collect() })
    }
}

impl ModelCard {
    /// The card of a model that is loaded.
    ///
    /// # Errors
    /// [`ApiError::NotReady`] until one is.
    pub fn new(app: &App, model: &Model) -> Result<ModelCard, ApiError> {
        Ok(ModelCard {
            id: model.manifest().id.clone(),
            default: is_default(app, model),
            provider: app.engine()?.provider().to_string(),
            digest: model.bundle().digest(),
            manifest: model.manifest().clone(),
        })
    }
}

fn is_default(app: &App, model: &Model) -> bool {
    let default = app.model(None);
    default.is_ok_and(|default| default.manifest().id == model.manifest().id)
}
