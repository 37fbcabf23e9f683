//! How numbers and choices are said to a reader: the same on the terminal and in the page.

use crate::dataset::ProblemKind;
use crate::pck::{self, Average, Interval, Operator, Score, Scores, Threshold};
use crate::report::Flag;

/// A share as a percentage with one decimal, without its sign: `54.3`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}", share * 100.0)
}

/// A difference of shares in points, always with its sign: `+1.2`, `−0.4`, `0.0`.
pub(super) fn points(difference: f64) -> String {
    let size = percent(difference.abs());
    match difference {
        _ if size == "0.0" => size,
        _ if difference < 0.0 => format!("−{size}"),
        _ => format!("+{size}"),
    }
}

/// An α with two decimals, or more where it has them.
pub(super) fn alpha(alpha: f64) -> String {
    let short = format!("{alpha:.2}");
    if short.parse() == Ok(alpha) { short } else { alpha.to_string() }
}

/// Half the width of an interval in points: `±1.2`.
pub(super) fn half_width(interval: Interval) -> String {
    format!("±{}", percent((interval.high - interval.low) / 2.0))
}

/// Whether a difference is more than the choice of pairs explains: its interval does not hold 0.
pub(super) fn is_certain(interval: Option<Interval>) -> bool {
    interval.is_some_and(|interval| interval.low > 0.0 || interval.high < 0.0)
}

pub(super) fn average(average: Average) -> &'static str {
    match average {
        Average::PerImage => "per image",
        Average::PerPoint => "per point",
        Average::PerImageCategoryMean => "per image, mean of categories",
        Average::PerPointCategoryMean => "per point, mean of categories",
    }
}

/// What makes a prediction right: `error ≤ α · longer side of the target's box`.
pub(super) fn rule(settings: &pck::Settings) -> String {
    let operator = match settings.operator {
        Operator::AtMost => "≤",
        Operator::Below => "<",
    };
    let extent = match settings.threshold {
        Threshold::Box => "longer side of the target's box",
        Threshold::Keypoints => "longer side of the box round the target's keypoints",
        Threshold::Image => "longer side of the target image",
    };
    format!("error {operator} α · {extent}")
}

/// How the intervals were made; none where there are none.
pub(super) fn intervals(settings: &pck::Settings) -> Option<String> {
    let bootstrap = settings.bootstrap.filter(|bootstrap| bootstrap.resamples > 0)?;
    Some(format!("95 % intervals of {} bootstrap resamples of the pairs, seed {}", bootstrap.resamples, bootstrap.seed))
}

pub(super) fn flag(flag: Flag) -> &'static str {
    match flag {
        Flag::Viewpoint => "viewpoint",
        Flag::Scale => "scale",
        Flag::Truncation => "truncation",
        Flag::Occlusion => "occlusion",
    }
}

pub(super) fn flag_value(flag: Flag, value: u8) -> &'static str {
    match (flag, value) {
        (Flag::Viewpoint | Flag::Scale, 0) => "easy",
        (Flag::Viewpoint | Flag::Scale, 1) => "medium",
        (Flag::Viewpoint | Flag::Scale, 2) => "difficult",
        (_, 0) => "none",
        (_, 1) => "source",
        (_, 2) => "target",
        (_, 3) => "both",
        _ => "unknown",
    }
}

pub(super) fn problem(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::MissingImage => "image missing",
        ProblemKind::UnreadableImage => "image unreadable",
        ProblemKind::MissingAnnotation => "annotation missing or unreadable",
        ProblemKind::Malformed => "malformed file",
        ProblemKind::NoCommonKeypoints => "too few common keypoints",
        ProblemKind::DuplicateKeypoint => "keypoint twice",
        ProblemKind::DuplicatePair => "pair twice",
    }
}

/// For each of several runs, whether its score is the best of them as printed; nothing is best of one.
pub(super) fn best(scores: &[Option<Score>]) -> Vec<bool> {
    let printed = |score: &Option<Score>| score.map(|score| (score.value * 1000.0).round() as i64);
    let most = scores.iter().filter_map(printed).max();
    scores.iter().map(|score| scores.len() > 1 && most.is_some() && printed(score) == most).collect()
}

/// The score of some pairs, where there are such.
pub(super) fn get(scores: Option<&Scores>, average: Average, alpha: f64) -> Option<Score> {
    scores?.get(average, alpha)
}
