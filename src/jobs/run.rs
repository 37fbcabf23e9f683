//! One pass over a job's claimed shards: pairs that have no result yet go through the runner, results into the store.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use homolog_engine::{EvalEncoder, Model};
use homolog_eval::pck::{self, Alphas, Counts};
use homolog_eval::result::PairResult;
use homolog_eval::runner::{self, Cancel, Delivery, Failure, Task};
use tokio::runtime::Handle;

use crate::dataset::Opened;
use crate::work::Reason;
use crate::{ALPHA, Done, Error, Job, Jobs, Shard, ShardProgress, Specification};

/// How a pass ended, if the store held.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Every pair of the shards has its results.
    Complete {
        /// The pairs, as they were.
        opened: Arc<Opened>,
    },
    /// It was told to stop, or the shards are another's by now.
    Stopped,
    /// It cannot be done.
    Impossible { reason: Reason },
}

/// Results are kept when there are so many, or after so long.
const BATCH: usize = 64;
const AT_LEAST: Duration = Duration::from_millis(200);

/// A pass.
pub(crate) struct Run {
    jobs: Arc<Jobs>,
    job: String,
    specification: Specification,
    opened: Arc<Opened>,
    shards: Vec<Shard>,
    /// Pairs without results.
    pairs: Vec<usize>,
    /// Of each pair, its shard.
    shard_of: HashMap<usize, usize>,
    /// Of each shard, its images that no pair needs any more.
    images: BTreeMap<usize, u64>,
    cancel: Cancel,
    /// Sets what counts as right where progress is shown.
    progress_pck: pck::Settings,
    runtime: Handle,
}

impl Run {
    /// A pass over `shards` without the pairs that are `done`. Must be made inside a tokio runtime.
    pub fn new(
        jobs: Arc<Jobs>,
        job: &Job,
        shards: Vec<Shard>,
        opened: Arc<Opened>,
        done: &HashSet<usize>,
        cancel: Cancel,
    ) -> Run {
        let by_number = opened.shards();
        let (mut pairs, mut shard_of, mut images) = (Vec::new(), HashMap::new(), BTreeMap::new());
        for shard in &shards {
            let all = by_number.get(shard.number).map(Vec::as_slice).unwrap_or_default();
            let left: Vec<usize> = all.iter().copied().filter(|pair| !done.contains(pair)).collect();
            let through = opened.images(all).len() - opened.images(&left).len();
            images.insert(shard.number, through as u64);
            shard_of.extend(left.iter().map(|pair| (*pair, shard.number)));
            pairs.extend(left);
        }
        let alphas = Alphas::try_from(vec![ALPHA]).unwrap_or_default();
        let progress_pck = pck::Settings { alphas, bootstrap: None, ..job.specification.pck.clone() };
        Run {
            jobs,
            job: job.id.clone(),
            specification: job.specification.clone(),
            opened,
            shards,
            pairs,
            shard_of,
            images,
            cancel,
            progress_pck,
            runtime: Handle::current(),
        }
    }

    /// Carries it out. Blocks; must not be called on a thread of the runtime.
    ///
    /// # Errors
    /// Those of the store; what was kept before stays valid.
    pub fn carry_out(self) -> Result<Ended, Error> {
        let jobs = self.jobs.clone();
        let impossible = |reason| Ok(Ended::Impossible { reason });
        let (models, tasks) = match tasks(&jobs, &self.specification) {
            Ok(both) => both,
            Err(reason) => return impossible(reason),
        };
        let encoder = match EvalEncoder::new(&jobs.engine, &models, jobs.settings.decode) {
            Ok(encoder) => encoder,
            Err(error) => return impossible(Reason::Engine(error)),
        };
        let (cancel, settings) = (self.cancel.clone(), jobs.runner_settings());
        let mut keeper = Keeper::new(&self);
        let dataset = &self.opened.dataset;
        let outcome = runner::run(dataset, &self.pairs, &tasks, &encoder, &settings, &cancel, |delivery| {
            keeper.deliver(delivery)
        });
        let kept = keeper.flush()?;
        match outcome {
            _ if !kept => Ok(Ended::Stopped),
            Err(homolog_eval::Error::Encoder(_)) if cancel.is_cancelled() => Ok(Ended::Stopped),
            // the engine's fault and not the job's: tried again
            Err(homolog_eval::Error::Encoder(error)) => Err(Error::Encoder { reason: error.to_string() }),
            Err(error) => impossible(Reason::Runner(error)),
            Ok(outcome) if !outcome.complete => Ok(Ended::Stopped),
            Ok(outcome) => {
                let statistics = outcome.statistics;
                tracing::info!(job = %self.job, pairs = self.pairs.len(), ?statistics, "shards done");
                let finished = self.runtime.block_on(jobs.store.finish(&jobs.lease, &self.shards))?;
                Ok(if finished { Ended::Complete { opened: self.opened.clone() } } else { Ended::Stopped })
            }
        }
    }

    fn measured(&self, results: Vec<Result<PairResult, Failure>>) -> Vec<(Result<PairResult, Failure>, u32)> {
        let hits = |result: &PairResult| {
            let counts = Counts::new(result, &self.progress_pck, |_| true).ok()?;
            counts.hits.first().copied()
        };
        results
            .into_iter()
            .map(|result| {
                let hits = result.as_ref().ok().and_then(hits).unwrap_or_default();
                (result, hits)
            })
            .collect()
    }
}

/// A model, and the side of its input in pixels.
type ModelAt<'a> = (&'a Model, u32);

/// The models of the runs, each once, and the runs as tasks over them.
fn tasks<'a>(jobs: &'a Jobs, specification: &Specification) -> Result<(Vec<ModelAt<'a>>, Vec<Task>), Reason> {
    let mut models: Vec<ModelAt<'a>> = Vec::new();
    let mut tasks = Vec::new();
    for run in &specification.runs {
        let place = models.iter().position(|(model, side)| model.manifest().id == run.model && *side == run.resolution);
        let place = match place {
            Some(place) => place,
            None => {
                let missing = || Reason::NoModel { model: run.model.clone() };
                models.push((jobs.engine.model(&run.model).ok_or_else(missing)?, run.resolution));
                models.len() - 1
            }
        };
        tasks.push(Task { model: place, matching: run.matching.clone() });
    }
    Ok((models, tasks))
}

/// Gathers deliveries and keeps them.
struct Keeper<'a> {
    run: &'a Run,
    batch: Vec<Done>,
    images: BTreeMap<usize, u64>,
    /// Shards of which `images` has changed since it was kept.
    changed: BTreeSet<usize>,
    encoded: usize,
    began: Instant,
    flushed: Instant,
    /// False once the shards are lost.
    going: bool,
    failed: Option<Error>,
}

impl<'a> Keeper<'a> {
    fn new(run: &'a Run) -> Keeper<'a> {
        let now = Instant::now();
        let (images, changed) = (run.images.clone(), run.images.keys().copied().collect());
        Keeper {
            run,
            batch: Vec::new(),
            images,
            changed,
            encoded: 0,
            began: now,
            flushed: now,
            going: true,
            failed: None,
        }
    }

    fn deliver(&mut self, delivery: Delivery) -> ControlFlow<()> {
        let Some(&shard) = self.run.shard_of.get(&delivery.pair) else { return ControlFlow::Continue(()) };
        // images of this shard and, where encoding runs ahead, of the next
        let new = delivery.progress.images.saturating_sub(self.encoded);
        self.encoded += new;
        *self.images.entry(shard).or_default() += new as u64;
        self.changed.insert(shard);
        self.run.jobs.pairs.fetch_add(1, Ordering::Relaxed);
        self.batch.push(Done { pair: delivery.pair, results: self.run.measured(delivery.results) });
        if self.batch.len() >= BATCH || self.flushed.elapsed() >= AT_LEAST {
            self.keep();
        }
        if self.going && self.failed.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Keeps what is left. False if the shards are another's.
    fn flush(mut self) -> Result<bool, Error> {
        if self.going && self.failed.is_none() {
            self.keep();
        }
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self.going),
        }
    }

    fn keep(&mut self) {
        let jobs = &self.run.jobs;
        let speed = self.encoded as f64 / self.began.elapsed().as_secs_f64().max(1e-3);
        let images = std::mem::take(&mut self.changed).into_iter();
        let images = images.map(|shard| (shard, self.images.get(&shard).copied().unwrap_or_default())).collect();
        let progress = ShardProgress { shards: self.run.shards.len(), images, images_per_second: speed };
        let record = jobs.store.record(&jobs.lease, &self.run.job, &self.batch, &progress);
        match self.run.runtime.block_on(record) {
            Ok(going) => self.going = going,
            Err(error) => self.failed = Some(error),
        }
        if self.failed.is_none() {
            jobs.kept();
        }
        self.batch.clear();
        self.flushed = Instant::now();
    }
}
