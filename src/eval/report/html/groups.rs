//! Numbers of groups of pairs: categories, difficulty, the geometry-aware subset, left and right.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::plot::{Bar, bars};
use super::sections::score;
use super::{legend, run_head, run_name};
use crate::analysis::ConfusionRow;
use crate::document::{Evaluation, Run};
use crate::pck::{Average, Score, Scores};
use crate::report::{Flag, Report, words};
use crate::{Dataset, Error};

/// The most confused keypoints of a run that are named.
const CONFUSED: usize = 8;

/// Rows of the tables of groups: a name and where a report has its scores.
type Row<'a> = (String, Box<dyn Fn(&Report) -> Option<&Scores> + 'a>);

/// A table of groups: a row each, per image and per point at one α for every run.
fn table(evaluation: &Evaluation, caption: &str, head: &str, rows: &[Row<'_>]) -> Markup {
    let alpha = evaluation.settings.detail_alpha();
    let runs = &evaluation.runs;
    let averages = [Average::PerImage, Average::PerPoint];
    let cells = |of: &dyn Fn(&Report) -> Option<&Scores>, average: Average| {
        let scores: Vec<Option<Score>> = runs.iter().map(|run| words::get(of(&run.report), average, alpha)).collect();
        let best = words::best(&scores);
        html! { @for (value, best) in scores.iter().zip(best) { (score(*value, best)) } }
    };
    let most = |of: &dyn Fn(&Report) -> Option<&Scores>, count: fn(&Scores) -> usize| {
        runs.iter().filter_map(|run| of(&run.report)).map(count).max().unwrap_or_default()
    };
    html! {
        div class="wide" {
            table {
                caption { (caption) ", PCK in percent at α = " (words::alpha(alpha)) }
                thead {
                    tr {
                        th scope="col" rowspan="2" { (head) }
                        th scope="col" rowspan="2" class="number" { "Pairs" }
                        th scope="col" rowspan="2" class="number" { "Keypoints" }
                        @for average in averages {
                            th scope="colgroup" colspan=(runs.len()) class="span" { (words::average(average)) }
                        }
                    }
                    tr {
                        @for _ in averages {
                            @for (place, run) in runs.iter().enumerate() { (run_head(place, &run.name)) }
                        }
                    }
                }
                tbody {
                    @for (name, of) in rows {
                        tr {
                            th scope="row" { (name) }
                            td class="number" { (most(of, |scores| scores.pairs)) }
                            td class="number" { (most(of, |scores| scores.points)) }
                            @for average in averages { (cells(of, average)) }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn categories(evaluation: &Evaluation) -> Result<Option<Markup>, Error> {
    let runs = &evaluation.runs;
    let names: BTreeSet<&String> = runs.iter().flat_map(|run| run.report.categories.keys()).collect();
    let alpha = evaluation.settings.detail_alpha();
    let bar = |run: &Run, name: &str| -> Bar {
        let score = words::get(run.report.categories.get(name), Average::PerImage, alpha)?;
        Some((score.value, score.interval))
    };
    let groups: Vec<(&str, Vec<Bar>)> =
        names.iter().map(|name| (name.as_str(), runs.iter().map(|run| bar(run, name)).collect())).collect();
    if groups.is_empty() {
        return Ok(None);
    }
    let x = format!("PCK per image at α = {}, %", words::alpha(alpha));
    let plot = bars("PCK per image in percent, a group of bars for each category, a bar for each run", &x, &groups)?;
    let rows: Vec<Row<'_>> = names
        .iter()
        .map(|name| -> Row<'_> { ((*name).clone(), Box::new(|report: &Report| report.categories.get(*name))) })
        .collect();
    Ok(Some(html! {
        (legend(runs))
        (plot)
        (table(evaluation, "Categories", "Category", &rows))
    }))
}

pub(super) fn difficulty(evaluation: &Evaluation) -> Option<Markup> {
    let groups: BTreeSet<(Flag, u8)> =
        evaluation.runs.iter().flat_map(|run| &run.report.difficulty).map(|group| (group.flag, group.value)).collect();
    let row = |(flag, value): (Flag, u8)| -> Row<'_> {
        let name = format!("{}: {}", words::flag(flag), words::flag_value(flag, value));
        (name, Box::new(move |report: &Report| report.difficulty(flag, value)))
    };
    let rows: Vec<Row<'_>> = groups.into_iter().map(row).collect();
    let table = || html! { (legend(&evaluation.runs)) (table(evaluation, "Difficulty as annotated", "Flag", &rows)) };
    (!rows.is_empty()).then(table)
}

pub(super) fn geometry_aware(evaluation: &Evaluation) -> Option<Markup> {
    if evaluation.runs.iter().all(|run| run.report.geometry_aware.is_none()) {
        return None;
    }
    let rows: [Row<'_>; 2] = [
        ("geometry-aware".to_owned(), Box::new(|report: &Report| report.geometry_aware.as_ref())),
        ("all keypoints".to_owned(), Box::new(|report: &Report| Some(&report.overall))),
    ];
    Some(html! {
        (legend(&evaluation.runs))
        (table(evaluation, "Geometry-aware subset", "Keypoints", &rows))
        p class="note" {
            "Keypoints that look like another one of the target and are told apart by where they are, left and right or front and \
             back. Zhang et al., “Telling Left from Right”, 2024."
        }
    })
}

/// Confusion of mirror partners: by category, and the keypoints confused most.
pub(super) fn confusion(evaluation: &Evaluation, dataset: &Dataset) -> Result<Option<Markup>, Error> {
    let runs = &evaluation.runs;
    let Some(first) = runs.iter().find(|run| run.report.confusion.all.points > 0) else { return Ok(None) };
    let names: BTreeSet<&String> = runs.iter().flat_map(|run| run.report.confusion.categories.keys()).collect();
    let share = |run: &Run, name: &str| Some((run.report.confusion.categories.get(name)?.share()?, None));
    let groups: Vec<(&str, Vec<Bar>)> =
        names.iter().map(|name| (name.as_str(), runs.iter().map(|run| share(run, name)).collect())).collect();
    let label = "Share of keypoints in percent that were taken for their partner, a group of bars for each category";
    let plot = bars(label, "taken for their partner, %", &groups)?;
    Ok(Some(html! {
        p {
            "Of the keypoints whose mirror partner the target shows, those that are wrong at α = "
            (words::alpha(first.report.confusion.alpha)) " and lie nearer to the partner than to their own place."
        }
        (legend(runs))
        (plot)
        div class="wide" {
            table {
                caption { "Left taken for right" }
                thead {
                    tr {
                        th scope="col" { "Run" }
                        th scope="col" class="number" { "Keypoints" }
                        th scope="col" class="number" { "Wrong" }
                        th scope="col" class="number" { "Taken for the partner" }
                        th scope="col" class="number" { "of all, %" }
                        th scope="col" { "Most confused" }
                    }
                }
                tbody {
                    @for (place, run) in runs.iter().enumerate() {
                        @let ConfusionRow { points, wrong, confused } = run.report.confusion.all;
                        tr {
                            th scope="row" { (run_name(place, &run.name)) }
                            td class="number" { (points) }
                            td class="number" { (wrong) }
                            td class="number" { (confused) }
                            td class="number" { (run.report.confusion.all.share().map(words::percent).unwrap_or_default()) }
                            td { (most_confused(run, dataset)) }
                        }
                    }
                }
            }
        }
    }))
}

/// The keypoints that were confused most often.
fn most_confused(run: &Run, dataset: &Dataset) -> Markup {
    let by_category = &run.report.confusion.keypoints;
    let mut rows: Vec<(&str, &str, ConfusionRow)> = by_category
        .iter()
        .flat_map(|(category, keypoints)| keypoints.iter().map(|(id, row)| (category.as_str(), id.as_str(), *row)))
        .filter(|(.., row)| row.confused > 0)
        .collect();
    // stable: the order of names among equals
    rows.sort_by_key(|(.., row)| std::cmp::Reverse(row.confused));
    html! {
        ul class="plain" {
            @for (category, id, row) in rows.iter().take(CONFUSED) {
                li { (category) ", " (keypoint_name(dataset, category, id)) ": " (row.confused) " of " (row.points) }
            }
        }
    }
}

/// What a keypoint is called, or its id where the dataset has no names.
pub(super) fn keypoint_name<'a>(dataset: &'a Dataset, category: &str, id: &'a str) -> &'a str {
    let category = dataset.categories.iter().find(|other| other.name == category);
    category.and_then(|category| category.symmetry.as_deref()?.name(id)).unwrap_or(id)
}
