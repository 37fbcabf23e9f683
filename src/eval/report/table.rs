//! Runs as CSV: their numbers, and their predictions.

use std::io::Write;

use serde::Serialize;

use super::Report;
use crate::Error;
use crate::pck::{Average, Scores, Settings};
use crate::result::PairResult;

#[derive(Serialize)]
struct Number<'a> {
    run: &'a str,
    group: &'a str,
    name: String,
    pairs: usize,
    points: usize,
    average: Average,
    alpha: f64,
    pck: f64,
    low: Option<f64>,
    high: Option<f64>,
}

/// Writes every PCK of named runs, one a row: `run,group,name,pairs,points,average,alpha,pck,low,high`, PCK from 0 to 1. The groups are
/// `overall`, `category`, each difficulty flag, and `geometry_aware`.
///
/// # Errors
/// [`Error::Csv`].
pub fn numbers<'a>(runs: impl IntoIterator<Item = (&'a str, &'a Report)>, out: impl Write) -> Result<(), Error> {
    let mut csv = csv::Writer::from_writer(out);
    for (run, report) in runs {
        numbers_of(run, report, &mut csv)?;
    }
    csv.flush().map_err(csv::Error::from)?;
    Ok(())
}

fn numbers_of(run: &str, report: &Report, csv: &mut csv::Writer<impl Write>) -> Result<(), Error> {
    let mut write = |group: &str, name: String, scores: &Scores| -> Result<(), Error> {
        for score in &scores.scores {
            csv.serialize(Number {
                run,
                group,
                name: name.clone(),
                pairs: scores.pairs,
                points: scores.points,
                average: score.average,
                alpha: score.alpha,
                pck: score.value,
                low: score.interval.map(|interval| interval.low),
                high: score.interval.map(|interval| interval.high),
            })?;
        }
        Ok(())
    };
    write("overall", "all".to_owned(), &report.overall)?;
    for (name, scores) in &report.categories {
        write("category", name.clone(), scores)?;
    }
    for group in &report.difficulty {
        write(&format!("{:?}", group.flag).to_lowercase(), group.value.to_string(), &group.scores)?;
    }
    if let Some(scores) = &report.geometry_aware {
        write("geometry_aware", "all".to_owned(), scores)?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Prediction<'a> {
    run: &'a str,
    pair: &'a str,
    category: &'a str,
    keypoint: &'a str,
    source_x: f64,
    source_y: f64,
    predicted_x: f64,
    predicted_y: f64,
    true_x: f64,
    true_y: f64,
    error: f64,
    extent: Option<f64>,
    similarity: f32,
    confidence: f32,
    ratio: Option<f32>,
    cycle_error: Option<f64>,
    geometry_aware: Option<bool>,
}

/// Writes every prediction of named runs, one a row; lengths in px of the originals. `extent` is what the settings' threshold is a share of.
///
/// # Errors
/// [`Error::Csv`].
pub fn predictions<'a>(
    runs: impl IntoIterator<Item = (&'a str, &'a [PairResult])>,
    settings: &Settings,
    out: impl Write,
) -> Result<(), Error> {
    let mut csv = csv::Writer::from_writer(out);
    let pairs = runs.into_iter().flat_map(|(run, results)| results.iter().map(move |result| (run, result)));
    for (run, result) in pairs {
        for keypoint in &result.keypoints {
            csv.serialize(Prediction {
                run,
                pair: &result.pair,
                category: &result.category,
                keypoint: &keypoint.id,
                source_x: keypoint.source.x,
                source_y: keypoint.source.y,
                predicted_x: keypoint.prediction.x,
                predicted_y: keypoint.prediction.y,
                true_x: keypoint.truth.x,
                true_y: keypoint.truth.y,
                error: keypoint.error,
                extent: result.extents.of(settings.threshold),
                similarity: keypoint.similarity,
                confidence: keypoint.confidence,
                ratio: keypoint.ratio,
                cycle_error: keypoint.cycle_error,
                geometry_aware: keypoint.geometry_aware,
            })?;
        }
    }
    csv.flush().map_err(csv::Error::from)?;
    Ok(())
}
