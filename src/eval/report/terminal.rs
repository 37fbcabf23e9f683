//! An evaluation as text of fixed width.

mod grid;

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::document::{Evaluation, Run, RunComparison};
use crate::pck::{Average, Score, Scores};
use crate::report::{Flag, Report, words};
use grid::{Grid, printable};

/// Lines of changed pairs in the text of a comparison.
const CHANGED: usize = 10;

/// The tables of an evaluation: PCK of every run at every α by every average, then by category, by difficulty, and of the
/// geometry-aware subset. `±` is half the width of the 95 % interval; `*` marks the best of several runs.
pub fn evaluation(evaluation: &Evaluation) -> String {
    let mut text = head(evaluation);
    let alphas = &evaluation.settings.alphas;
    for average in Average::ALL {
        let mut grid = Grid::new(format!("PCK {}, %", words::average(average)));
        grid.columns(alphas.iter().map(|alpha| format!("α={}", words::alpha(*alpha))));
        for place in 0..evaluation.runs.len() {
            grid.row(
                name(evaluation, place),
                alphas.iter().map(|alpha| cell(&evaluation.runs, place, *alpha, average)),
            );
        }
        let _ = write!(text, "\n{grid}");
    }
    text += &groups(evaluation);
    text += &beside(evaluation);
    text += &failures(evaluation);
    text
}

/// A comparison of two runs: the differences, and the pairs that changed most. `*` marks a difference that the choice of pairs
/// does not explain.
pub fn comparison(compared: &RunComparison) -> String {
    let comparison = &compared.comparison;
    let mut text = format!(
        "{} → {}, on the {} pairs that both have\n",
        printable(&compared.first),
        printable(&compared.second),
        comparison.pairs
    );
    let only = [(&compared.first, &comparison.only_first), (&compared.second, &comparison.only_second)];
    for (run, pairs) in only.into_iter().filter(|(_, pairs)| !pairs.is_empty()) {
        let _ = writeln!(text, "{} pairs only in {}", pairs.len(), printable(run));
    }
    for average in Average::ALL {
        let mut grid = Grid::new(format!("PCK {}, %", words::average(average)));
        grid.columns(["first", "second", "difference", "95 % interval", ""].map(str::to_owned));
        for difference in comparison.differences.iter().filter(|difference| difference.average == average) {
            let interval = |interval: crate::pck::Interval| {
                format!("{} to {}", words::points(interval.low), words::points(interval.high))
            };
            let mark = if words::is_certain(difference.interval) { "*" } else { "" };
            let cells = [
                words::percent(difference.first),
                words::percent(difference.second),
                words::points(difference.difference),
                difference.interval.map(interval).unwrap_or_default(),
                mark.to_owned(),
            ];
            grid.row(format!("α={}", words::alpha(difference.alpha)), cells);
        }
        let _ = write!(text, "\n{grid}");
    }
    let mut grid = Grid::new(format!("changed most at α={}, %", words::alpha(comparison.change_alpha)));
    grid.columns(["first", "second"].map(str::to_owned));
    for change in comparison.changed.iter().take(CHANGED) {
        grid.row(printable(&change.pair), [words::percent(change.first), words::percent(change.second)]);
    }
    if !comparison.changed.is_empty() {
        let _ = write!(text, "\n{grid}");
    }
    text
}

fn head(evaluation: &Evaluation) -> String {
    let dataset = &evaluation.dataset;
    let mut text = format!(
        "{}: {} pairs, {} images, {} keypoints\n{}\n",
        printable(&dataset.name),
        dataset.pairs,
        dataset.images,
        dataset.keypoints,
        words::rule(&evaluation.settings)
    );
    if let Some(intervals) = words::intervals(&evaluation.settings) {
        let _ = writeln!(text, "±: half the width of {intervals}");
    }
    if dataset.pairs_left_out > 0 {
        let kinds: Vec<String> =
            dataset.problems.iter().map(|(kind, count)| format!("{} {count}", words::problem(*kind))).collect();
        let _ = writeln!(text, "{} pairs are left out ({})", dataset.pairs_left_out, kinds.join(", "));
    }
    text
}

/// What a run is called in the first column; with its number, by which narrow columns name it, if there are several.
fn name(evaluation: &Evaluation, place: usize) -> String {
    let name = evaluation.runs.get(place).map(|run| printable(&run.name)).unwrap_or_default();
    if evaluation.runs.len() > 1 { format!("[{}] {name}", place + 1) } else { name }
}

fn cell(runs: &[Run], place: usize, alpha: f64, average: Average) -> String {
    let scores: Vec<Option<Score>> = runs.iter().map(|run| run.report.overall.get(average, alpha)).collect();
    marked(&scores, place, true)
}

fn marked(scores: &[Option<Score>], place: usize, width: bool) -> String {
    let Some(score) = scores.get(place).copied().flatten() else { return "–".to_owned() };
    let several = scores.len() > 1;
    let mark = match words::best(scores).get(place) {
        Some(true) => "*",
        // a blank, so that figures stand below each other
        _ if several => " ",
        _ => "",
    };
    let interval = score.interval.filter(|_| width).map(words::half_width);
    let interval = interval.map(|half| format!(" {half:>5}")).unwrap_or_default();
    format!("{}{mark}{interval}", words::percent(score.value))
}

/// One table of all groups of pairs: a row each, a column for each run.
fn groups(evaluation: &Evaluation) -> String {
    let alpha = evaluation.settings.detail_alpha();
    let average = Average::PerImage;
    let runs = &evaluation.runs;
    let mut grid = Grid::new(format!("PCK {} at α={}, %", words::average(average), words::alpha(alpha)));
    let several = runs.len() > 1;
    let numbers = (1..=runs.len()).map(|number| if several { format!("[{number}]") } else { String::new() });
    grid.columns(["pairs".to_owned()].into_iter().chain(numbers));
    let mut row = |name: String, of: &dyn Fn(&Report) -> Option<&Scores>| {
        let pairs = runs.iter().filter_map(|run| Some(of(&run.report)?.pairs)).max().unwrap_or_default();
        let scores: Vec<Option<Score>> = runs.iter().map(|run| words::get(of(&run.report), average, alpha)).collect();
        let cells = (0..runs.len()).map(|place| marked(&scores, place, true));
        grid.row(name, [pairs.to_string()].into_iter().chain(cells));
    };
    let categories: BTreeSet<&String> = runs.iter().flat_map(|run| run.report.categories.keys()).collect();
    for category in categories {
        row(printable(category), &|report| report.categories.get(category));
    }
    let difficulty: BTreeSet<(Flag, u8)> =
        runs.iter().flat_map(|run| &run.report.difficulty).map(|group| (group.flag, group.value)).collect();
    for (flag, value) in difficulty {
        let name = format!("{}: {}", words::flag(flag), words::flag_value(flag, value));
        row(name, &|report| report.difficulty(flag, value));
    }
    if runs.iter().any(|run| run.report.geometry_aware.is_some()) {
        row("geometry-aware subset".to_owned(), &|report| report.geometry_aware.as_ref());
    }
    format!("\n{grid}")
}

/// What stands beside PCK: errors, left taken for right, and what the confidence is worth.
fn beside(evaluation: &Evaluation) -> String {
    let mut grid = Grid::new("beside PCK".to_owned());
    grid.columns(["median error", "mean error", "left for right, %", "ECE", "AUROC"].map(str::to_owned));
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
    for (place, run) in evaluation.runs.iter().enumerate() {
        let report = &run.report;
        let cells = [
            number(report.errors.percentiles.get(2).copied()),
            number(report.errors.mean),
            report.confusion.all.share().map_or_else(|| "–".to_owned(), words::percent),
            number(report.reliability.expected_calibration_error),
            number(report.reliability.auroc),
        ];
        grid.row(name(evaluation, place), cells);
    }
    format!("\n{grid}")
}

fn failures(evaluation: &Evaluation) -> String {
    let failed = evaluation.runs.iter().enumerate().filter(|(_, run)| !run.failures.is_empty());
    let line = |(place, run): (usize, &Run)| {
        let first = run.failures.first().map(|failure| printable(&failure.reason)).unwrap_or_default();
        format!("{}, pairs failed: {}; the first: {first}\n", name(evaluation, place), run.failures.len())
    };
    let lines: String = failed.map(line).collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}
