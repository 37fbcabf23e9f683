//! The numbers that papers print, the curves, and what stands beside PCK.

use maud::{Markup, html};

use super::plot::{Axes, Line, lines};
use super::{legend, run_name};
use crate::Error;
use crate::document::{Evaluation, Run};
use crate::pck::{Average, Score};
use crate::report::{Curve, Report, words};

/// A score with its interval below it; a dash where there is none.
pub(super) fn score(score: Option<Score>, best: bool) -> Markup {
    html! {
        td class="number" {
            @match score {
                Some(score) => {
                    @if best { strong { (words::percent(score.value)) } } @else { (words::percent(score.value)) }
                    @if let Some(interval) = score.interval {
                        span class="interval" { (words::percent(interval.low)) "–" (words::percent(interval.high)) }
                    }
                }
                None => "–"
            }
        }
    }
}

/// One table, a body for each average: rows are runs, columns are α.
pub(super) fn table(evaluation: &Evaluation) -> Option<Markup> {
    let alphas = &evaluation.settings.alphas;
    let several = evaluation.runs.len() > 1;
    Some(html! {
        div class="wide" {
            table class="paper" {
                caption {
                    "PCK in percent, by every average."
                    @if several { " Bold: the best of the runs." }
                    @if let Some(intervals) = words::intervals(&evaluation.settings) { " Small: " (intervals) "." }
                }
                thead {
                    tr {
                        th scope="col" { "Run" }
                        @for alpha in alphas.iter() { th scope="col" class="number" { "α\u{a0}=\u{a0}" (words::alpha(*alpha)) } }
                    }
                }
                @for average in Average::ALL {
                    tbody {
                        tr class="group" { th scope="rowgroup" colspan=(alphas.len() + 1) { "PCK " (words::average(average)) } }
                        @for (place, run) in evaluation.runs.iter().enumerate() {
                            tr {
                                th scope="row" { (run_name(place, &run.name)) }
                                @for alpha in alphas.iter() { (cell(&evaluation.runs, place, average, *alpha)) }
                            }
                        }
                    }
                }
            }
        }
        p class="note" {
            "Per image: the share of right keypoints of each pair, averaged over the pairs. Per point: the share of right keypoints \
             among all. Mean of categories: each category's number, averaged over the categories."
        }
    })
}

fn cell(runs: &[Run], place: usize, average: Average, alpha: f64) -> Markup {
    let scores: Vec<Option<Score>> = runs.iter().map(|run| run.report.overall.get(average, alpha)).collect();
    let best = words::best(&scores).get(place).copied().unwrap_or_default();
    score(scores.get(place).copied().flatten(), best)
}

/// A plot for each of the two averages that need no categories.
pub(super) fn curves(evaluation: &Evaluation) -> Result<Option<Markup>, Error> {
    let plot = |label: &str, y: &str, values: fn(&Curve) -> &[f64]| {
        let line = |(run, Run { report, .. }): (usize, &Run)| {
            let percent = values(&report.curve).iter().map(|value| value * 100.0);
            let points = [(0.0, 0.0)].into_iter().chain(report.curve.alphas.iter().copied().zip(percent));
            Line { run, dots: 0, points: points.collect() }
        };
        let drawn: Vec<Line> = evaluation.runs.iter().enumerate().map(line).collect();
        let axes = Axes { label, x: "α", y, x_most: 0.2, y_most: 100.0, decimals: 2, diagonal: false };
        lines(&axes, &drawn)
    };
    let label = "PCK per image in percent over α from 0 to 0.2, a line for each run";
    let per_image = plot(label, "PCK per image, %", |curve| &curve.per_image)?;
    let label = "PCK per point in percent over α from 0 to 0.2, a line for each run";
    let per_point = plot(label, "PCK per point, %", |curve| &curve.per_point)?;
    Ok(Some(html! {
        (legend(&evaluation.runs))
        div class="plots" { (per_image) (per_point) }
    }))
}

/// The distribution of errors, cumulated and in bins, and its percentiles.
pub(super) fn errors(evaluation: &Evaluation) -> Result<Option<Markup>, Error> {
    let (mut cumulated, mut steps) = (Vec::new(), Vec::new());
    for (run, Run { report, .. }) in evaluation.runs.iter().enumerate() {
        let share = |points: usize| points as f64 * 100.0 / report.errors.points.max(1) as f64;
        let mut below = 0;
        let (mut rising, mut outline) = (vec![(0.0, 0.0)], Vec::new());
        for bin in &report.errors.bins {
            let Some(to) = bin.to else { continue };
            below += bin.points;
            rising.push((to, share(below)));
            outline.extend([(bin.from, share(bin.points)), (to, share(bin.points))]);
        }
        cumulated.push(Line { run, dots: 0, points: rising });
        steps.push(Line { run, dots: 0, points: outline });
    }
    let axes = Axes {
        label: "Share of keypoints in percent whose error is below a share of the extent, from 0 to 1, a line for each run",
        x: "error / extent",
        y: "keypoints below, %",
        x_most: 1.0,
        y_most: 100.0,
        decimals: 1,
        diagonal: false,
    };
    let left = lines(&axes, &cumulated)?;
    let right = lines(
        &Axes {
            label: "Share of keypoints in percent in each bin of 0.02 of the extent, from 0 to 1, a line for each run",
            y: "keypoints in bin, %",
            y_most: above(&steps),
            ..axes
        },
        &steps,
    )?;
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
    let beyond = |report: &Report| {
        let last = report.errors.bins.last().filter(|bin| bin.to.is_none()).map_or(0, |bin| bin.points);
        words::percent(last as f64 / report.errors.points.max(1) as f64)
    };
    Ok(Some(html! {
        p { "Errors are distances to the truth as a share of the extent that thresholds are shares of." }
        (legend(&evaluation.runs))
        div class="plots" { (left) (right) }
        table {
            caption { "Errors, as shares of the extent" }
            thead {
                tr {
                    th scope="col" { "Run" }
                    th scope="col" class="number" { "Mean" }
                    @for name in ["10th percentile", "25th", "Median", "75th", "90th"] { th scope="col" class="number" { (name) } }
                    th scope="col" class="number" { "Beyond 1, %" }
                }
            }
            tbody {
                @for (place, run) in evaluation.runs.iter().enumerate() {
                    tr {
                        th scope="row" { (run_name(place, &run.name)) }
                        td class="number" { (number(run.report.errors.mean)) }
                        @for index in 0..5 { td class="number" { (number(run.report.errors.percentiles.get(index).copied())) } }
                        td class="number" { (beyond(&run.report)) }
                    }
                }
            }
        }
    }))
}

/// The next five percent above all lines.
fn above(lines: &[Line]) -> f64 {
    let highest = lines.iter().flat_map(|line| &line.points).map(|(_, share)| *share).fold(1.0, f64::max);
    (highest / 5.0).ceil() * 5.0
}

/// The reliability diagram and how confidences are spread.
pub(super) fn reliability(evaluation: &Evaluation) -> Result<Option<Markup>, Error> {
    let (mut diagram, mut spread) = (Vec::new(), Vec::new());
    for (run, Run { report, .. }) in evaluation.runs.iter().enumerate() {
        let bins = &report.reliability.bins;
        let points = bins.iter().filter_map(|bin| Some((bin.confidence?, bin.right? * 100.0))).collect();
        diagram.push(Line { run, dots: 4, points });
        let all: usize = bins.iter().map(|bin| bin.points).sum();
        let share = |points: usize| points as f64 * 100.0 / all.max(1) as f64;
        let points = bins.iter().flat_map(|bin| [(bin.from, share(bin.points)), (bin.to, share(bin.points))]).collect();
        spread.push(Line { run, dots: 0, points });
    }
    let axes = Axes {
        label: "Share of right keypoints in percent over confidence from 0 to 1, a line for each run; the diagonal is perfect",
        x: "confidence",
        y: "right, %",
        x_most: 1.0,
        y_most: 100.0,
        decimals: 1,
        diagonal: true,
    };
    let left = lines(&axes, &diagram)?;
    let label = "Share of keypoints in percent in each tenth of the confidence, a line for each run";
    let right =
        lines(&Axes { label, y: "keypoints in bin, %", y_most: above(&spread), diagonal: false, ..axes }, &spread)?;
    let alpha = evaluation.runs.first().map_or(crate::report::DETAIL_ALPHA, |run| run.report.reliability.alpha);
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
    Ok(Some(html! {
        p { "Whether a high confidence means a right match, at α = " (words::alpha(alpha)) "." }
        (legend(&evaluation.runs))
        div class="plots" { (left) (right) }
        table {
            caption { "Calibration and discrimination of the confidence" }
            thead {
                tr {
                    th scope="col" { "Run" }
                    th scope="col" class="number" { "Expected calibration error" }
                    th scope="col" class="number" { "AUROC" }
                }
            }
            tbody {
                @for (place, run) in evaluation.runs.iter().enumerate() {
                    tr {
                        th scope="row" { (run_name(place, &run.name)) }
                        td class="number" { (number(run.report.reliability.expected_calibration_error)) }
                        td class="number" { (number(run.report.reliability.auroc)) }
                    }
                }
            }
        }
        p class="note" {
            "Expected calibration error: |mean confidence − share right| of ten bins, weighted by their keypoints; 0 is best. \
             AUROC: the probability that a right match has a higher confidence than a wrong one; 0.5 is a coin, 1 is best."
        }
    }))
}
