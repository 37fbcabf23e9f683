//! Whether two bundles match alike: PF-WILLOW's keypoints through both.

use super::{VerifyArgs, runs};
use crate::{Error, progress};
use homolog_core::{
    bundle::Bundle,
    features::Sampling,
    geometry::{Fit, Point},
    image::DecodeLimits,
    matching::{Matcher, Settings as Matching},
};
use homolog_engine::{EvalEncoder, Provider};
use homolog_eval::{
    Dataset,
    pck::{Average, Counts, Settings, score},
    readers::{ReadOptions, pf_willow},
    result::PairResult,
    runner::{self, Cancel, Task},
};
use serde::Serialize;
use std::{collections::BTreeMap, ops::ControlFlow, path::Path};

/// Names that the list of pairs has: its authors', and that of copies of the whole dataset.
const LISTS: [&str; 2] = ["test_pairs.csv", "pf_willow_pairs.csv"];
/// The α that papers quote.
const ALPHA: f64 = 0.10;

/// How far two bundles agree on where keypoints lie, by the argmax of the cosine.
#[derive(Clone, Debug, Serialize)]
pub struct Agreement {
    /// Pairs of photos that were matched.
    pub pairs: usize,
    /// Their keypoints.
    pub points: usize,
    /// Side of the input, px.
    pub resolution: u32,
    /// What both ran on: the provider of the first row.
    pub provider: Provider,
    /// Share of the keypoints that both bundles find in the same token, from 0 to 1.
    pub same_token: f64,
    /// Share whose tokens are the same or touch.
    pub within_a_patch: f64,
    /// Per-point PCK@0.10 of both: of the bundle, and of the one it is compared with.
    pub pck: [Pck; 2],
}

/// A bundle's accuracy.
#[derive(Clone, Debug, Serialize)]
pub struct Pck {
    /// Its id.
    pub bundle: String,
    /// Per-point PCK@0.10, the threshold from the box of the target's keypoints, from 0 to 1.
    pub per_point: f64,
}

/// Matches PF-WILLOW's pairs by both bundles, at the bundle's default side where both offer it, else at the largest of `sides`.
///
/// # Errors
/// A list or a photo that cannot be read; what running a bundle meets.
pub(super) fn on_willow(
    bundle: &Bundle,
    other: &Bundle,
    sides: &[u32],
    folder: &Path,
    arguments: &VerifyArgs,
) -> Result<Agreement, Error> {
    let list = LISTS.map(|name| folder.join(name)).into_iter().find(|list| list.exists());
    let list = list.unwrap_or_else(|| folder.join(LISTS[0]));
    let dataset = pf_willow::read(folder, &list, &ReadOptions { strict: true, check_images: true })?;
    let all = dataset.pairs.len();
    let wanted = arguments.pairs.map_or(all, |pairs| pairs.get().min(all));
    let pairs: Vec<usize> = (0..wanted).map(|index| index * all / wanted).collect();
    let usual = bundle.manifest().default_resolution;
    let side = if sides.contains(&usual) { usual } else { sides.last().copied().unwrap_or(usual) };

    let (provider, ours) = results(bundle, side, &dataset, &pairs, arguments)?;
    let (_, theirs) = results(other, side, &dataset, &pairs, arguments)?;
    let (mut points, mut same, mut near) = (0usize, 0usize, 0usize);
    for (pair, ours) in &ours {
        let size = dataset.images[dataset.pairs[*pair].target].size;
        let fit = bundle.manifest().preparation(side).fit(size)?;
        let theirs = theirs.get(pair).map(|result| result.keypoints.as_slice()).unwrap_or_default();
        for (ours, theirs) in ours.keypoints.iter().zip(theirs) {
            points += 1;
            same += usize::from(ours.prediction == theirs.prediction);
            near += usize::from(tokens_apart(&fit, ours.prediction, theirs.prediction) < 1.5);
        }
    }
    let share = |count: usize| count as f64 / points as f64;
    Ok(Agreement {
        pairs: pairs.len(),
        points,
        resolution: side,
        provider,
        same_token: share(same),
        within_a_patch: share(near),
        pck: [pck(bundle, &ours, &dataset)?, pck(other, &theirs, &dataset)?],
    })
}

/// Rows or columns of tokens between two places, whichever are more.
fn tokens_apart(fit: &Fit, a: Point, b: Point) -> f64 {
    let (a, b) = (fit.to_token(a), fit.to_token(b));
    (a.x - b.x).abs().max((a.y - b.y).abs())
}

/// What the bundle ran on, and its results by the pair's index.
fn results(
    bundle: &Bundle,
    side: u32,
    dataset: &Dataset,
    pairs: &[usize],
    arguments: &VerifyArgs,
) -> Result<(Provider, BTreeMap<usize, PairResult>), Error> {
    let id = &bundle.manifest().id;
    let engine = runs::start(bundle, runs::first_provider(arguments), arguments.threads)?;
    let model = engine.model(id).ok_or_else(|| Error::Failed(format!("{id} was not loaded")))?;
    let encoder = EvalEncoder::new(&engine, &[(model, side)], DecodeLimits::default())?;
    let settings = runner::Settings { encoders: encoder.at_a_time(), ..runner::Settings::default() };
    let matching = Matching { matcher: Matcher::Argmax {}, sampling: Sampling::Bilinear, top_k: 0, cycle: false };
    let tasks = [Task { model: 0, matching }];
    let bar = progress::pairs(pairs.len(), id);
    let (mut results, mut failed) = (BTreeMap::new(), None);
    let outcome = runner::run(dataset, pairs, &tasks, &encoder, &settings, &Cancel::default(), |done| {
        bar.set_position(done.progress.pairs as u64);
        for result in done.results {
            match result {
                Ok(result) => drop(results.insert(done.pair, result)),
                Err(failure) => failed = Some(failure),
            }
        }
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.finish_and_clear();
    outcome?;
    match failed {
        Some(failure) => Err(Error::Failed(format!("{id} on PF-WILLOW: {failure}"))),
        None => Ok((engine.provider(), results)),
    }
}

fn pck(bundle: &Bundle, results: &BTreeMap<usize, PairResult>, dataset: &Dataset) -> Result<Pck, Error> {
    let settings = Settings { threshold: dataset.threshold, bootstrap: None, ..Settings::default() };
    let counts = Counts::of(results.values(), &settings, |_| true)?;
    let scores = score(&counts, &settings.alphas, None);
    let per_point = scores.get(Average::PerPoint, ALPHA).map_or(f64::NAN, |score| score.value);
    Ok(Pck { bundle: bundle.manifest().id.clone(), per_point })
}
