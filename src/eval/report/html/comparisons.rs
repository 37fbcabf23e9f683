//! Each two runs against each other.

use maud::{Markup, html};

use super::run_name;
use crate::document::{Evaluation, RunComparison};
use crate::pck::{Average, Difference};
use crate::report::words;

/// Changed pairs that are named.
const CHANGED: usize = 10;

pub(super) fn section(evaluation: &Evaluation) -> Option<Markup> {
    if evaluation.comparisons.is_empty() {
        return None;
    }
    Some(html! {
        p {
            "Differences in points of PCK, second minus first, on the pairs that both runs have. Bold: the 95 % interval of the \
             difference, both runs drawn together pair by pair, does not hold 0."
        }
        @for compared in &evaluation.comparisons { (one(evaluation, compared)) }
    })
}

fn one(evaluation: &Evaluation, compared: &RunComparison) -> Markup {
    let comparison = &compared.comparison;
    let alphas = &evaluation.settings.alphas;
    let name = |name: &str| match evaluation.runs.iter().position(|run| run.name == name) {
        Some(place) => run_name(place, name),
        None => html! { (name) },
    };
    let at = |average: Average, alpha: f64| {
        comparison.differences.iter().find(|other| other.average == average && other.alpha == alpha)
    };
    html! {
        h3 { (name(&compared.first)) " → " (name(&compared.second)) }
        div class="wide" {
            table class="paper" {
                caption { "Differences on " (comparison.pairs) " pairs" }
                thead {
                    tr {
                        th scope="col" { "PCK" }
                        @for alpha in alphas.iter() { th scope="col" class="number" { "α\u{a0}=\u{a0}" (words::alpha(*alpha)) } }
                    }
                }
                tbody {
                    @for average in Average::ALL {
                        tr {
                            th scope="row" { (words::average(average)) }
                            @for alpha in alphas.iter() { (difference(at(average, *alpha))) }
                        }
                    }
                }
            }
        }
        @if !comparison.only_first.is_empty() || !comparison.only_second.is_empty() {
            p {
                (comparison.only_first.len()) " pairs are only in the first run, " (comparison.only_second.len())
                " only in the second."
            }
        }
        @if !comparison.changed.is_empty() {
            details {
                summary { "The pairs that changed most" }
                div class="wide" { (changed(compared)) }
            }
        }
    }
}

fn difference(difference: Option<&Difference>) -> Markup {
    html! {
        td class="number" {
            @if let Some(Difference { difference, interval, .. }) = difference {
                @if words::is_certain(*interval) { strong { (words::points(*difference)) } } @else { (words::points(*difference)) }
                @if let Some(interval) = interval {
                    span class="interval" { (words::points(interval.low)) " to " (words::points(interval.high)) }
                }
            } @else { "–" }
        }
    }
}

fn changed(compared: &RunComparison) -> Markup {
    let comparison = &compared.comparison;
    html! {
        table {
            caption { "Share of right keypoints at α = " (words::alpha(comparison.change_alpha)) ", and mean error as a share of the extent" }
            thead {
                tr {
                    th scope="col" { "Pair" }
                    th scope="col" { "Category" }
                    th scope="col" class="number" { "First, %" }
                    th scope="col" class="number" { "Second, %" }
                    th scope="col" class="number" { "Error, first" }
                    th scope="col" class="number" { "Error, second" }
                }
            }
            tbody {
                @for change in comparison.changed.iter().take(CHANGED) {
                    tr {
                        th scope="row" { (change.pair) }
                        td { (change.category) }
                        td class="number" { (words::percent(change.first)) }
                        td class="number" { (words::percent(change.second)) }
                        td class="number" { (format!("{:.3}", change.first_error)) }
                        td class="number" { (format!("{:.3}", change.second_error)) }
                    }
                }
            }
        }
    }
}
