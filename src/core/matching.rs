//! From feature maps to correspondences: where a point of one image lies in another.
//!
//! [`run`] is the whole walk; its steps are public so that each can be checked by hand. Nothing here runs on more than one
//! thread, and every result is the same bits for the same arguments, whatever other points are asked for with it.

mod candidates;
mod matcher;
mod peak;
mod settings;
mod similarity;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::features::{Descriptors, FeatureMap, Sampling};
use crate::geometry::{Fit, Point, check_finite};
pub use candidates::candidates;
pub use matcher::Matcher;
pub use peak::{Peak, argmax, kernel_soft_argmax, peak, soft_argmax, window_soft_argmax};
pub use settings::{Sigma, Temperature, Window};
pub use similarity::similarity;

/// Queries matched at once: bounds the similarities in memory to this many rows of tokens, and the time between two questions
/// whether to go on.
const CHUNK: usize = 64;

/// How points are matched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = MatchingSettings))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How the place is found in the similarities.
    pub matcher: Matcher,
    /// How the source is read at a keypoint.
    pub sampling: Sampling,
    /// How many candidates to report beside the prediction; 0 for none.
    pub top_k: usize,
    /// Whether to match each prediction back and report how far it comes from where it started.
    pub cycle: bool,
}

/// An image as the matcher sees it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Its descriptors as the model gave them, not normalised.
    pub features: &'a FeatureMap<'a>,
    /// How it was brought onto the model's canvas.
    pub fit: &'a Fit,
}

/// Where a keypoint of the source lies in the target.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// The place, px of the target image, never outside it.
    pub point: Point,
    /// As [`Peak::similarity`].
    pub similarity: f32,
    /// As [`Peak::confidence`].
    pub confidence: f32,
    /// As [`Peak::ratio`].
    pub ratio: Option<f32>,
    /// Distance between the keypoint and the prediction matched back into the source, px of the source image.
    pub cycle_error: Option<f64>,
    /// The best places, best first; at most [`Settings::top_k`].
    pub candidates: Vec<Candidate>,
}

/// One of several places that a keypoint may lie at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The place, px of the target image.
    pub point: Point,
    /// As [`Peak::similarity`].
    pub similarity: f32,
    /// As [`Peak::confidence`].
    pub confidence: f32,
}

/// Finds each keypoint of the source in the target.
///
/// The raw source map is sampled at the keypoint and normalised, compared with every normalised token of the target, and the
/// matcher reads the place off the similarities. Tokens of the padding take no part (see [`Fit::content_tokens`]).
/// Candidates keep a distance of more than the matcher's [`radius`](Matcher::radius) from each other. For the cycle error
/// the raw target map is sampled at the prediction and matched into the source by the same matcher.
///
/// `points` are px of the source image, finite; beyond its edges, where some annotations lie, the border is read. A service
/// that wants them inside asks [`check_points`](crate::geometry::check_points) first.
///
/// # Errors
/// [`Error::KeypointNotFinite`]; [`Error::GridMismatch`] if a map is not of its fit's grid; [`Error::ChannelMismatch`] if
/// the maps are of different models; [`Error::NoFiniteSimilarity`] if the model gave nothing but NaN for the pair.
pub fn run(source: &View<'_>, target: &View<'_>, points: &[Point], settings: &Settings) -> Result<Vec<Match>, Error> {
    run_while(source, target, points, settings, &|| true)
}

/// [`run`], for as long as `go_on` says so: thousands of points with candidates take seconds, and the caller may leave.
///
/// # Errors
/// As [`run`]; [`Error::Cancelled`].
pub fn run_while(
    source: &View<'_>,
    target: &View<'_>,
    points: &[Point],
    settings: &Settings,
    go_on: &dyn Fn() -> bool,
) -> Result<Vec<Match>, Error> {
    check_finite(points)?;
    check_grid(source)?;
    let target = Side::new(target)?;
    // only if it is searched
    let back = if settings.cycle { Some(Side::new(source)?) } else { None };
    let mut matches = Vec::with_capacity(points.len());
    for chunk in points.chunks(CHUNK) {
        if !go_on() {
            return Err(Error::Cancelled);
        }
        let tokens: Vec<Point> = chunk.iter().map(|&point| source.fit.to_token(point)).collect();
        let rows = target.rows(&source.features.sample(&tokens, settings.sampling))?;
        let mut peaks = Vec::with_capacity(chunk.len());
        for row in rows.chunks_exact(target.len()) {
            let peak = peak(row, target.view.features.grid(), &settings.matcher)?;
            matches.push(target.report(row, &peak, settings)?);
            peaks.push(peak.point);
        }
        if let Some(back) = &back {
            let rows = back.rows(&target.view.features.sample(&peaks, settings.sampling))?;
            let at = matches.len() - chunk.len();
            for ((found, row), &point) in matches[at..].iter_mut().zip(rows.chunks_exact(back.len())).zip(chunk) {
                let returned = peak(row, back.view.features.grid(), &settings.matcher)?.point;
                found.cycle_error = Some(back.to_image(returned).distance(point));
            }
        }
    }
    Ok(matches)
}

/// An image that is searched.
struct Side<'a> {
    view: &'a View<'a>,
    scales: &'a [f64],
}

impl<'a> Side<'a> {
    fn new(view: &'a View<'a>) -> Result<Side<'a>, Error> {
        check_grid(view)?;
        Ok(Side { view, scales: view.features.scales() })
    }

    /// Tokens in a row of similarities.
    fn len(&self) -> usize {
        self.scales.len()
    }

    /// Similarities of raw descriptors to the tokens of this image, `[k, h * w]`, −∞ at padding.
    fn rows(&self, raw: &Descriptors) -> Result<Vec<f32>, Error> {
        let mut rows = similarity(&raw.normalised(), self.view.features)?;
        let grid = self.view.features.grid();
        // the products, and not the map: these are few, and it is large
        for row in rows.chunks_exact_mut(self.len()) {
            row.iter_mut()
                .zip(self.scales)
                .for_each(|(product, scale)| *product = (f64::from(*product) * scale) as f32);
        }
        let (seen_rows, seen_columns) = self.view.fit.content_tokens();
        for (index, line) in rows.chunks_exact_mut(grid.width).enumerate() {
            if seen_rows.contains(&(index % grid.height)) {
                line[..seen_columns.start].fill(f32::NEG_INFINITY);
                line[seen_columns.end..].fill(f32::NEG_INFINITY);
            } else {
                line.fill(f32::NEG_INFINITY);
            }
        }
        Ok(rows)
    }

    /// Every token that takes part has its centre in the image, and so has every mean of them. The exception is a letterboxed
    /// strip thinner than a patch, whose only tokens have their centres beside it: the nearest point of the image is meant.
    fn to_image(&self, token: Point) -> Point {
        self.view.fit.from_token(token).clamped_to(self.view.fit.image())
    }

    fn report(&self, row: &[f32], peak: &Peak, settings: &Settings) -> Result<Match, Error> {
        let matcher = &settings.matcher;
        let candidates = candidates(row, self.view.features.grid(), matcher, settings.top_k, matcher.radius())?;
        Ok(Match {
            point: self.to_image(peak.point),
            similarity: cosine(peak.similarity),
            confidence: peak.confidence,
            ratio: peak.ratio,
            cycle_error: None,
            candidates: candidates
                .iter()
                .map(|peak| Candidate {
                    point: self.to_image(peak.point),
                    similarity: cosine(peak.similarity),
                    confidence: peak.confidence,
                })
                .collect(),
        })
    }
}

/// Rounding takes the product of two unit vectors a little beyond 1.
fn cosine(product: f32) -> f32 {
    product.clamp(-1.0, 1.0)
}

fn check_grid(view: &View<'_>) -> Result<(), Error> {
    let (map, fit) = (view.features.grid(), view.fit.grid());
    if map == fit { Ok(()) } else { Err(Error::GridMismatch { map, fit }) }
}
