//! Evaluating: from a request to a job in the store. The job's own walk is [`homolog_jobs`]'s.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use homolog_core::bundle::hex;
use homolog_core::image::Photo;
use homolog_eval::readers::simple::PairLine;
use homolog_eval::report::{html, table};
use homolog_jobs::{Created, ImageInfo, Jobs, Key, RunSpec};
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::error::ApiError;
use crate::request::{EvalJob, ResultType, RunSettings};

/// Most runs of an evaluation: each is matched for every pair, and each adds a column to every table.
const MOST_RUNS: usize = 32;

/// Most pairs that come with a request: they are kept with it and read with it.
const MOST_PAIRS: usize = 20_000;

/// Takes an evaluation; `key` is the caller's own name for the request, by which a repetition is known.
///
/// # Errors
/// Every [`ApiError`] that is not about HTTP.
pub async fn evaluate(app: &App, job: EvalJob, key: Option<&str>) -> Result<Created, ApiError> {
    let jobs = app.jobs()?;
    let key = key.map(|name| Key { name: name.to_owned(), digest: Some(digest(&job)) });
    let key = key.as_ref();
    if let Some(key) = key
        && let Some(id) = jobs.store().repeated(key).await?
    {
        return Ok(Created::Before(id));
    }
    let EvalJob { settings, images } = job;
    let runs = specify(app, &settings.runs)?;
    let (pck, strict) = (settings.pck.measure()?, settings.strict);
    match (settings.dataset, settings.pairs) {
        (Some(_), Some(_)) => Err(ApiError::invalid("pairs", "name a dataset or send pairs, not both")),
        (None, None) => Err(ApiError::invalid("dataset", "name a registered dataset, or send pairs")),
        (Some(_), None) if !images.is_empty() => {
            Err(ApiError::invalid("images", "images belong to pairs of the request, and it names a dataset"))
        }
        (Some(name), None) => Ok(jobs.submit(&name, runs, pck, strict, key).await?),
        (None, Some(mut pairs)) => {
            keep(app, jobs, &mut pairs, images).await?;
            let name = settings.name.unwrap_or_else(|| "pairs".to_owned());
            Ok(jobs.submit_inline(&name, pairs, runs, pck, strict, key).await?)
        }
    }
}

/// SHA-256 of what a request asks for, in hexadecimal.
fn digest(job: &EvalJob) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("{:?}", job.settings));
    for (name, file) in &job.images {
        hasher.update(format!("{name:?}"));
        hasher.update(Sha256::digest(file));
    }
    hex(&hasher.finalize())
}

/// Keeps an image for later requests.
///
/// # Errors
/// [`ApiError::Image`] for a file that is no picture, and those of the store.
pub async fn keep_image(app: &App, file: Bytes, field: &str) -> Result<ImageInfo, ApiError> {
    let jobs = app.jobs()?;
    let (limits, bytes) = (app.config().decode_limits(), file.clone());
    // decoded now: whoever sends a broken file is told at once, and not by a pair that fails an hour later
    let decode = move || Photo::decode(&bytes, &limits).map(|photo| photo.size());
    let photo = app.decoding().run(1, decode).await?;
    let size = photo.map_err(|error| ApiError::Image { field: field.to_owned(), error })?;
    Ok(jobs.store().keep_image(&file, size, app.config().max_kept_image_bytes).await?)
}

/// The result of an evaluation that is done, as a file of that type.
///
/// # Errors
/// Every [`ApiError`] that is not about HTTP.
pub async fn result(app: &App, id: &str, media: ResultType, predictions: bool) -> Result<Vec<u8>, ApiError> {
    let place = app.results().place().await?;
    let evaluation = app.jobs()?.evaluation(id, predictions).await?;
    let write = move || {
        let mut file = Vec::new();
        match (media, predictions) {
            (ResultType::Json, _) => evaluation.write_json(&mut file),
            (ResultType::Csv, false) => table::numbers(evaluation.reports(), &mut file),
            (ResultType::Csv, true) => table::predictions(evaluation.results(), &evaluation.settings, &mut file),
        }?;
        Ok::<_, homolog_eval::Error>(file)
    };
    place.run(write).await?.map_err(|error| ApiError::Internal(error.to_string()))
}

/// The report of an evaluation that is done, a page.
///
/// # Errors
/// Every [`ApiError`] that is not about HTTP.
pub async fn report(app: &App, id: &str) -> Result<String, ApiError> {
    let jobs = app.jobs()?;
    let place = app.results().place().await?;
    let (evaluation, pairs) = (jobs.evaluation(id, true).await?, jobs.pairs(id).await?);
    let photo = |image: &homolog_eval::dataset::Image| std::fs::read(&image.path).ok();
    let draw = move || html::render(&evaluation, &pairs.dataset, &photo);
    place.run(draw).await?.map_err(|error| ApiError::Internal(error.to_string()))
}

/// The runs with every default filled in.
///
/// # Errors
/// [`ApiError::Invalid`] for too many or two that are the same, and those of [`RunSettings::specify`].
pub fn specify(app: &App, runs: &[RunSettings]) -> Result<Vec<RunSpec>, ApiError> {
    if runs.len() > MOST_RUNS {
        return Err(ApiError::invalid(
            "runs",
            format!("{} runs; at most {MOST_RUNS} are evaluated at once", runs.len()),
        ));
    }
    let default = [RunSettings::default()];
    let runs = if runs.is_empty() { &default[..] } else { runs };
    let mut specified: Vec<RunSpec> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let field = format!("runs[{index}]");
        let run = run.specify(app, &field)?;
        // results are told apart by their runs' names
        if specified.iter().any(|other| other.name() == run.name()) {
            return Err(ApiError::invalid(field, format!("{} stands there twice", run.name())));
        }
        specified.push(run);
    }
    Ok(specified)
}

/// Keeps the images that came along, and gives the pairs their ids.
async fn keep(app: &App, jobs: &Jobs, pairs: &mut [PairLine], images: BTreeMap<String, Bytes>) -> Result<(), ApiError> {
    if pairs.is_empty() {
        return Err(ApiError::invalid("pairs", "there is no pair"));
    }
    if pairs.len() > MOST_PAIRS {
        let detail =
            format!("{} pairs; at most {MOST_PAIRS} come with a request, more as a registered dataset", pairs.len());
        return Err(ApiError::invalid("pairs", detail));
    }
    let most = app.config().max_points;
    let points = |pair: &PairLine| pair.source_keypoints.len().max(pair.target_keypoints.len());
    if let Some((index, pair)) = pairs.iter().enumerate().find(|(_, pair)| points(pair) > most) {
        let detail = format!("{} keypoints; at most {most} are accepted in a pair", points(pair));
        return Err(ApiError::invalid(format!("pairs[{index}].source_keypoints"), detail));
    }
    let mut ids = BTreeMap::new();
    for (name, file) in images {
        let kept = keep_image(app, file, &format!("images.{name}")).await?;
        ids.insert(name, kept.id);
    }
    let (mut used, mut known) = (HashSet::new(), HashSet::new());
    for (index, pair) in pairs.iter_mut().enumerate() {
        for (side, name) in [("source", &mut pair.source), ("target", &mut pair.target)] {
            match ids.get(name.as_str()) {
                Some(id) => {
                    used.insert(std::mem::replace(name, id.clone()));
                }
                None if known.contains(name.as_str()) => {}
                None if jobs.store().has_image(name).await? => {
                    known.insert(name.clone());
                }
                None => {
                    let detail =
                        format!("there is no image {name:?} in the request, nor one of that id; send it first");
                    return Err(ApiError::invalid(format!("pairs[{index}].{side}"), detail));
                }
            }
        }
    }
    match ids.keys().find(|name| !used.contains(*name)) {
        Some(unused) => Err(ApiError::invalid(format!("images.{unused}"), "no pair names this image")),
        None => Ok(()),
    }
}
