//! One pair: both photos, and a line from each keypoint to where it was found.

use homolog_core::geometry::Point;
use maud::{Markup, html};

use super::groups::keypoint_name;
use super::photos::Photos;
use crate::dataset::Pair;
use crate::document::Evaluation;
use crate::report::gallery::Shown;
use crate::report::words;
use crate::result::KeypointResult;

/// Between the photos, px.
const GAP: u32 = 10;

/// Draws a pair. The ring round the truth has the radius of the threshold, so that a right prediction lies in it.
pub(super) fn picture(shown: &Shown<'_>, pair: &Pair, evaluation: &Evaluation, photos: &mut Photos<'_>) -> Markup {
    let (Some((source, source_scale)), Some((target, scale))) =
        (photos.scaled(pair.source), photos.scaled(pair.target))
    else {
        return html! {};
    };
    let alpha = evaluation.settings.detail_alpha();
    let left = f64::from(source.width + GAP);
    let result = shown.result;
    let in_source = |point: Point| Point::new(point.x * source_scale, point.y * source_scale);
    let in_target = |point: Point| Point::new(point.x * scale + left, point.y * scale);
    let radius = alpha * shown.extent * scale;
    let is_right =
        |keypoint: &KeypointResult| evaluation.settings.operator.is_right(keypoint.error, alpha, shown.extent);
    // wrong ones above, where they are seen
    let mut keypoints: Vec<&KeypointResult> = result.keypoints.iter().collect();
    keypoints.sort_by_key(|keypoint| !is_right(keypoint));
    let drawn: Vec<Markup> = keypoints
        .into_iter()
        .map(|keypoint| {
            let right = is_right(keypoint);
            let name = keypoint_name(photos.dataset(), &result.category, &keypoint.id);
            let class = if right { "right" } else { "wrong" };
            html! {
                g class=(class) {
                    title {
                        (name) ": " (class) ", error " (format!("{:.3}", keypoint.error / shown.extent)) " of the extent, confidence "
                        (format!("{:.2}", keypoint.confidence))
                    }
                    (ring(in_target(keypoint.truth), radius))
                    (correspondence(in_source(keypoint.source), in_target(keypoint.prediction), right))
                    @if !right { (miss(in_target(keypoint.prediction), in_target(keypoint.truth))) }
                }
            }
        })
        .collect();
    let (width, height) = (source.width + GAP + target.width, source.height.max(target.height));
    let total = result.keypoints.len();
    let mean = format!("{:.3}", shown.error);
    let label = format!(
        "Pair {}, {}: {} of {total} keypoints right at α = {}",
        result.pair,
        result.category,
        shown.right,
        words::alpha(alpha)
    );
    html! {
        figure class="pair" {
            svg viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) role="img" aria-label=(label) {
                (photos.draw(pair.source, source, 0))
                (photos.draw(pair.target, target, source.width + GAP))
                @for keypoint in &drawn { (keypoint) }
            }
            figcaption {
                strong { (shown.right) " of " (total) } " right, mean error " (mean) ". " (result.category) ", " (result.pair)
            }
        }
    }
}

/// A light ring on a dark one, which is seen on any photo.
fn ring(at: Point, radius: f64) -> Markup {
    html! {
        circle class="ring under" cx=(px(at.x)) cy=(px(at.y)) r=(px(radius)) {}
        circle class="ring" cx=(px(at.x)) cy=(px(at.y)) r=(px(radius)) {}
    }
}

/// From a wrong prediction to where it should be.
fn miss(prediction: Point, truth: Point) -> Markup {
    html! { line class="miss" x1=(px(prediction.x)) y1=(px(prediction.y)) x2=(px(truth.x)) y2=(px(truth.y)) {} }
}

fn correspondence(source: Point, prediction: Point, right: bool) -> Markup {
    let ends = [px(source.x), px(source.y), px(prediction.x), px(prediction.y)];
    html! {
        line class="under" x1=(ends[0]) y1=(ends[1]) x2=(ends[2]) y2=(ends[3]) {}
        line x1=(ends[0]) y1=(ends[1]) x2=(ends[2]) y2=(ends[3]) {}
        circle class="dot" cx=(ends[0]) cy=(ends[1]) r="3.5" {}
        @if right {
            circle class="dot" cx=(ends[2]) cy=(ends[3]) r="3.5" {}
        } @else {
            rect class="dot" x=(px(prediction.x - 3.5)) y=(px(prediction.y - 3.5)) width="7" height="7" {}
        }
    }
}

fn px(value: f64) -> String {
    format!("{value:.1}")
}
