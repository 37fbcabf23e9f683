//! The pairs that a run is shown by, drawn on their photos.

use std::collections::HashMap;

use maud::{Markup, html};

use super::pair::picture;
use super::photos::Photos;
use super::run_name;
use crate::dataset::{Image, Pair};
use crate::document::Evaluation;
use crate::report::gallery::{Gallery, Shown};
use crate::report::words;
use crate::{Dataset, Error};

pub(super) fn section(
    evaluation: &Evaluation,
    dataset: &Dataset,
    bytes: &dyn Fn(&Image) -> Option<Vec<u8>>,
) -> Result<Option<Markup>, Error> {
    let alpha = evaluation.settings.detail_alpha();
    let pairs: HashMap<&str, &Pair> = dataset.pairs.iter().map(|pair| (pair.id.as_str(), pair)).collect();
    let mut photos = Photos::new(dataset, bytes);
    let mut runs = Vec::new();
    for (place, run) in evaluation.runs.iter().enumerate() {
        let Some(results) = &run.results else { continue };
        let Gallery { best, median, worst } = Gallery::new(results, &evaluation.settings, alpha)?;
        let mut draw = |shown: &Shown<'_>| match pairs.get(shown.result.pair.as_str()) {
            Some(pair) => picture(shown, pair, evaluation, &mut photos),
            None => html! { p { "Pair " (shown.result.pair) " is not in the dataset." } },
        };
        let mut row = |title: &str, shown: &[Shown<'_>]| {
            html! {
                @if !shown.is_empty() {
                    h4 { (title) }
                    div class="pairs" { @for shown in shown { (draw(shown)) } }
                }
            }
        };
        runs.push(html! {
            h3 { (run_name(place, &run.name)) }
            (row("Best", &best))
            (row("Median", &median))
            (row("Worst", &worst))
        });
    }
    if runs.is_empty() {
        return Ok(Some(
            html! { p { "The predictions are not part of this evaluation's document, so no pair can be drawn." } },
        ));
    }
    Ok(Some(html! {
        p {
            "Source left, target right. Pairs in the order of their share of right keypoints at α = " (words::alpha(alpha))
            ", then of their mean error, spread over the categories."
        }
        ul class="legend marks" {
            li { span class="mark right" {} "right: solid line to a dot" }
            li { span class="mark wrong" {} "wrong: dashed line to a square, from there dots to the truth" }
            li { span class="mark truth" {} "truth: a ring of the radius within which a prediction is right" }
        }
        (photos.definitions())
        @for run in &runs { (run) }
    }))
}
