//! From a dataset to results: each image encoded once, in little memory, while pairs are matched.
//!
//! [`Plan`] decides beforehand, from the pairs and the size of each image's maps alone, in which order images come, pairs are
//! matched and maps go, so that a run in that order never holds more than its budget. [`run`] carries it out: encoding threads
//! take the images of the plan ahead of the matching as far as the budget allows, pairs are matched in parallel, and results
//! come out in the order of the plan, on the caller's thread. Maps that must go before their last pair are kept in a temporary
//! file ([`Settings::spill`]) or encoded again.

mod encoder;
mod maps;
mod plan;
mod spill;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use homolog_core::matching::{self, View};
use rayon::prelude::*;

use crate::result::PairResult;
use crate::{Dataset, Error};
pub use encoder::{EncodeError, Encoded, Encoder, Failure};
use maps::Maps;
pub use maps::Statistics;
pub use plan::{Plan, Step};

/// How a run spends memory and threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most memory for feature maps, bytes, those included that are being made.
    pub memory: u64,
    /// Folder for the temporary file of maps that do not fit; none to encode such images again.
    pub spill: Option<PathBuf>,
    /// How many images are encoded at a time.
    pub encoders: usize,
}

impl Default for Settings {
    /// 2 GiB, the system's folder for temporary files, one encoder.
    fn default() -> Settings {
        Settings { memory: 2 << 30, spill: Some(std::env::temp_dir()), encoders: 1 }
    }
}

/// A model and the way to match with it. Tasks of one model share its maps.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Which of the encoder's models.
    pub model: usize,
    /// How its maps are matched.
    pub matching: matching::Settings,
}

/// Stops a run from another thread: no pair is delivered once the caller's thread has noticed, within 50 ms or one batch of pairs.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the run to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A pair that is done.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Index of the pair in the dataset.
    pub pair: usize,
    /// One result a task, in their order.
    pub results: Vec<Result<PairResult, Failure>>,
    /// How far the run is, this pair included.
    pub progress: Progress,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pairs delivered.
    pub pairs: usize,
    /// Pairs of the run.
    pub pairs_total: usize,
    /// Images encoded, repetitions included.
    pub images: usize,
    /// Images of the run, repetitions not included.
    pub images_total: usize,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether every pair was delivered.
    pub complete: bool,
    /// What it took.
    pub statistics: Statistics,
}

/// Pairs matched side by side at most: what a cancelled run still finishes.
const BATCH: usize = 64;

/// Runs `pairs` (indices of the dataset's pairs, each at most once) through the encoder and every task, and hands each to
/// `deliver`, on this thread, in the order of the [`Plan`]. Blocks until all are delivered, `cancel` is set, or `deliver` breaks.
///
/// A pair's results depend on its images and the tasks alone, to the bit: not on the budget, the threads, or which other pairs
/// are run. So a run that was interrupted goes on with the pairs that have none and ends with the same results.
///
/// An image that cannot be encoded makes its pairs [`Failure`]s and the run goes on.
///
/// # Errors
/// [`Error::BudgetTooSmall`], [`Error::OutOfRange`] for a pair or a model that does not exist, [`Error::Encoder`] if the encoder
/// can go on with no image, [`Error::Thread`]. What was delivered before stays valid.
pub fn run(
    dataset: &Dataset,
    pairs: &[usize],
    tasks: &[Task],
    encoder: &dyn Encoder,
    settings: &Settings,
    cancel: &Cancel,
    mut deliver: impl FnMut(Delivery) -> ControlFlow<()>,
) -> Result<Outcome, Error> {
    let models = models(tasks, encoder.models())?;
    let sizes: Vec<u64> = dataset.images.iter().map(|image| encoder.bytes(image, &models)).collect();
    let plan = Plan::new(dataset, pairs, &sizes, plan::capacity(settings, &sizes))?;
    let maps = Maps::new(dataset, &plan, &sizes, &models, encoder, settings, cancel);
    let mut progress = Progress { pairs_total: pairs.len(), images_total: plan.images(), ..Progress::default() };
    let complete = std::thread::scope(|scope| {
        for index in 0..settings.encoders.max(1) {
            let started =
                std::thread::Builder::new().name(format!("eval-encode-{index}")).spawn_scoped(scope, || maps.encode());
            if let Err(error) = started {
                maps.stop();
                return Err(Error::Thread(format!("could not be started: {error}")));
            }
        }
        // whatever ends the matching ends the encoding, a panic of `deliver` included
        let _stop = StopOnDrop(&maps);
        let mut steps = plan.steps();
        while let Some(step) = steps.first() {
            match *step {
                Step::Load { .. } => steps = &steps[1..],
                Step::Release { slot, again } => {
                    maps.release(slot, again);
                    steps = &steps[1..];
                }
                Step::Match { .. } => {
                    let Some(batch) = ready(&maps, steps)? else { return Ok(false) };
                    steps = &steps[batch.len()..];
                    // what is matched after a cancellation is not delivered
                    let wanted = batch.par_iter().take_any_while(|_| !cancel.is_cancelled());
                    let done: Vec<(usize, Vec<Result<PairResult, Failure>>)> =
                        wanted.map(|both| (both.pair, both.run(dataset, tasks, &models))).collect();
                    if cancel.is_cancelled() {
                        return Ok(false);
                    }
                    for (pair, results) in done {
                        progress.pairs += 1;
                        progress.images = maps.encoded();
                        if cancel.is_cancelled() || deliver(Delivery { pair, results, progress }).is_break() {
                            return Ok(false);
                        }
                    }
                }
            }
        }
        Ok(true)
    })?;
    Ok(Outcome { complete, statistics: maps.statistics() })
}

/// The models that the tasks use, each once.
fn models(tasks: &[Task], count: usize) -> Result<Vec<usize>, Error> {
    let mut models: Vec<usize> = tasks.iter().map(|task| task.model).collect();
    models.sort_unstable();
    models.dedup();
    match models.last() {
        Some(&index) if index >= count => Err(Error::OutOfRange { what: "model", index, count }),
        None => Err(Error::Setting { name: "the number of tasks", range: "1 or more", found: "0".to_owned() }),
        _ => Ok(models),
    }
}

/// The next pairs whose maps are there, up to a batch; waits for the first. None if the run was cancelled.
fn ready(maps: &Maps<'_>, steps: &[Step]) -> Result<Option<Vec<Both>>, Error> {
    let mut batch = Vec::new();
    for step in steps.iter().take(BATCH) {
        let Step::Match { pair, source, target } = *step else { break };
        let at_once = maps.is_ready(source) && maps.is_ready(target);
        if !at_once && !batch.is_empty() {
            break;
        }
        let (Some(source), Some(target)) = (maps.wait(source)?, maps.wait(target)?) else { return Ok(None) };
        batch.push(Both { pair, source, target });
    }
    Ok(Some(batch))
}

/// A pair and the maps of its images, one for each model of the run.
struct Both {
    pair: usize,
    source: Arc<Result<Vec<Encoded>, Failure>>,
    target: Arc<Result<Vec<Encoded>, Failure>>,
}

impl Both {
    fn run(&self, dataset: &Dataset, tasks: &[Task], models: &[usize]) -> Vec<Result<PairResult, Failure>> {
        tasks.iter().map(|task| self.run_task(dataset, task, models)).collect()
    }

    fn run_task(&self, dataset: &Dataset, task: &Task, models: &[usize]) -> Result<PairResult, Failure> {
        let pair = dataset.pairs.get(self.pair).ok_or_else(|| Failure::new("there is no such pair"))?;
        let place = models.binary_search(&task.model).unwrap_or_default();
        let side = |encoded: &Arc<Result<Vec<Encoded>, Failure>>| match encoded.as_ref() {
            Ok(maps) => maps.get(place).cloned().ok_or_else(|| Failure::new("the encoder gave no map for the model")),
            Err(failure) => Err(failure.clone()),
        };
        let (source, target) = (side(&self.source)?, side(&self.target)?);
        let points: Vec<_> = pair.keypoints.iter().map(|keypoint| keypoint.source).collect();
        let found = matching::run(
            &View { features: &source.features, fit: &source.fit },
            &View { features: &target.features, fit: &target.fit },
            &points,
            &task.matching,
        );
        match found {
            Ok(matches) => Ok(PairResult::new(dataset, pair, &matches)),
            Err(error) => Err(Failure::new(error.to_string())),
        }
    }
}

struct StopOnDrop<'a, 'b>(&'a Maps<'b>);

impl Drop for StopOnDrop<'_, '_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
