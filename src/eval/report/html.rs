//! An evaluation as one HTML page that needs nothing beside it: no script, no file, no network.
//!
//! Every plot is SVG whose text has the page's colour, and every photo is a small JPEG within the page, so that it is read in
//! light and in dark, printed, mailed and archived as it is.

mod comparisons;
mod gallery;
mod groups;
mod overview;
mod pair;
mod photos;
mod plot;
mod sections;

use std::fmt::Write;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::dataset::Image;
use crate::document::{Evaluation, Run};
use crate::{Dataset, Error};

/// Writes the page. `photos` gives the bytes of an image's file, or none where it cannot be had: a grey box says so in its place.
///
/// `dataset` is the one that the runs went over; it says which images a pair has and what its keypoints are called. The page
/// is the same for the same arguments, byte for byte.
///
/// # Errors
/// [`Error::Plot`]; [`Error::NoThreshold`] if a pair lacks the extent that the settings ask for.
pub fn render(
    evaluation: &Evaluation,
    dataset: &Dataset,
    photos: &dyn Fn(&Image) -> Option<Vec<u8>>,
) -> Result<String, Error> {
    let sections = [
        ("run", "What was run", overview::section(evaluation)),
        ("pck", "PCK", sections::table(evaluation)),
        ("curves", "PCK over α", sections::curves(evaluation)?),
        ("categories", "By category", groups::categories(evaluation)?),
        ("difficulty", "By difficulty", groups::difficulty(evaluation)),
        ("geometry", "Geometry-aware subset", groups::geometry_aware(evaluation)),
        ("confusion", "Left taken for right", groups::confusion(evaluation, dataset)?),
        ("errors", "Distribution of errors", sections::errors(evaluation)?),
        ("confidence", "What the confidence is worth", sections::reliability(evaluation)?),
        ("comparisons", "Runs against each other", comparisons::section(evaluation)),
        ("pairs", "Best, median and worst pairs", gallery::section(evaluation, dataset, photos)?),
        ("problems", "What went wrong", overview::problems(evaluation)),
    ];
    let title = format!("{}: evaluation", evaluation.dataset.name);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(include_str!("html/style.css"))) (palette()) }
            }
            body {
                header {
                    h1 { (evaluation.dataset.name) }
                    (overview::summary(evaluation))
                    nav aria-label="Sections" {
                        @for (id, title, content) in &sections {
                            @if content.is_some() { a href={ "#" (id) } { (title) } " " }
                        }
                    }
                }
                main {
                    @for (id, title, content) in &sections {
                        @if let Some(content) = content {
                            section id=(id) aria-labelledby={ (id) "-title" } {
                                h2 id={ (id) "-title" } { (title) }
                                (content)
                            }
                        }
                    }
                }
                footer { (overview::footer(evaluation)) }
            }
        }
    };
    Ok(page.into_string())
}

/// Colours of runs: Okabe and Ito's, "Color Universal Design", 2008, without black and yellow, the blue and the green a little
/// lighter so that they stand on white and on black. Runs beyond take them again.
const PALETTE: [&str; 6] = ["#2584c6", "#e69f00", "#0aa67c", "#cc79a7", "#56b4e9", "#d55e00"];

fn colour(place: usize) -> &'static str {
    PALETTE.get(place % PALETTE.len()).copied().unwrap_or("#2584c6")
}

/// A class for the colour of each run, since the page has no inline style.
fn palette() -> PreEscaped<String> {
    let mut css = String::new();
    for (place, colour) in PALETTE.iter().enumerate() {
        let _ = writeln!(css, ".run-{place} {{ background: {colour}; }}");
    }
    PreEscaped(css)
}

/// A run's number on its colour.
fn chip(place: usize) -> Markup {
    html! { span class={ "chip run-" (place % PALETTE.len()) } { (place + 1) } }
}

/// A run's number and name.
fn run_name(place: usize, name: &str) -> Markup {
    html! { (chip(place)) " " (name) }
}

/// The head of a column of figures of a run: its number, and its name for those who ask or do not see.
fn run_head(place: usize, name: &str) -> Markup {
    html! { th scope="col" class="number" title=(name) { (chip(place)) span class="unseen" { " " (name) } } }
}

/// Names and colours of all runs, for the plots.
fn legend(runs: &[Run]) -> Markup {
    html! {
        ul class="legend" { @for (place, run) in runs.iter().enumerate() { li { (run_name(place, &run.name)) } } }
    }
}
