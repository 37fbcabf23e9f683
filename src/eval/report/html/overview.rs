//! What was run, what it was run on, and what went wrong.

use maud::{Markup, html};

use super::run_name;
use crate::document::{Evaluation, Run};
use crate::report::words;

/// Failures of a run that are told in full.
const FAILURES: usize = 50;

/// The first line under the title.
pub(super) fn summary(evaluation: &Evaluation) -> Markup {
    let dataset = &evaluation.dataset;
    html! {
        p class="summary" {
            (dataset.pairs) " pairs of " (dataset.images) " images in " (dataset.categories.len()) " categories, "
            (dataset.keypoints) " keypoints. A prediction is right at α if " (words::rule(&evaluation.settings)) "."
        }
    }
}

pub(super) fn section(evaluation: &Evaluation) -> Option<Markup> {
    Some(html! {
        div class="wide" {
            table class="runs" {
                caption { "Runs" }
                thead {
                    tr {
                        th scope="col" { "Run" }
                        th scope="col" { "Model" }
                        th scope="col" class="number" { "Input" }
                        th scope="col" { "Matching" }
                        th scope="col" class="number" { "Pairs" }
                        th scope="col" class="number" { "Failed" }
                    }
                }
                tbody {
                    @for (place, run) in evaluation.runs.iter().enumerate() {
                        tr {
                            th scope="row" { (run_name(place, &run.name)) }
                            td {
                                (run.model.id) div class="note" { (run.model.description) }
                                div class="note" { "SHA-256 " code { (run.model.digest) } }
                            }
                            td class="number" { (run.model.resolution) " px" }
                            td { code { (run.matching.matcher) } div class="note" { "source read " (run.matching.sampling) } }
                            td class="number" { (run.report.overall.pairs) }
                            td class="number" { (run.failures.len()) }
                        }
                    }
                }
            }
        }
        dl {
            dt { "Dataset" }
            dd { (evaluation.dataset.name) ", read as " code { (evaluation.dataset.format) } }
            dt { "Right at α" }
            dd { (words::rule(&evaluation.settings)) ", in pixels of the original" }
            @if let Some(intervals) = words::intervals(&evaluation.settings) { dt { "Uncertainty" } dd { (intervals) } }
            dt { "Measured by" }
            dd { "Homolog " (evaluation.version) }
        }
    })
}

/// The format as it is written in a configuration.
pub(super) fn problems(evaluation: &Evaluation) -> Option<Markup> {
    let dataset = &evaluation.dataset;
    let failed = || evaluation.runs.iter().enumerate().filter(|(_, run)| !run.failures.is_empty());
    if dataset.problems.is_empty() && failed().next().is_none() {
        return Some(html! { p { "Nothing: the dataset has no problem, and every pair has a result in every run." } });
    }
    let count: usize = dataset.problems.values().sum();
    Some(html! {
        p { (dataset.pairs_left_out) " listed pairs are left out for problems of the dataset, and count in no number." }
        @if !dataset.problems.is_empty() {
            table {
                caption { "Problems of the dataset" }
                thead { tr { th scope="col" { "Kind" } th scope="col" class="number" { "Problems" } } }
                tbody {
                    @for (kind, count) in &dataset.problems {
                        tr { th scope="row" { (words::problem(*kind)) } td class="number" { (count) } }
                    }
                }
            }
            details {
                summary { "The first " (dataset.first_problems.len()) " of " (count) }
                ul { @for problem in &dataset.first_problems { li { (problem) } } }
            }
        }
        @for (place, run) in failed() { (failures(place, run)) }
    })
}

fn failures(place: usize, run: &Run) -> Markup {
    let shown = run.failures.len().min(FAILURES);
    html! {
        h3 { (run_name(place, &run.name)) ", pairs failed: " (run.failures.len()) }
        details {
            summary { "The first " (shown) }
            ul { @for failure in run.failures.iter().take(shown) { li { strong { (failure.pair) } ": " (failure.reason) } } }
        }
    }
}

pub(super) fn footer(evaluation: &Evaluation) -> Markup {
    html! {
        p {
            "Homolog " (evaluation.version) "."
        }
    }
}
