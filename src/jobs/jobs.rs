//! The jobs of one process: taken for the store, worked on, stopped.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use homolog_core::image::DecodeLimits;
use homolog_engine::Engine;
use homolog_eval::document::DatasetSummary;
use homolog_eval::readers::{Format, ReadOptions, simple::PairLine};
use homolog_eval::runner::Cancel;
use homolog_eval::{pck, runner};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::dataset::{Opened, image_ids};
use crate::run::{Ended, Run};
use crate::{
    Created, DatasetEntry, Error, Job, Lease, NewJob, RunSpec, Source, Specification, State, Store, code_version,
};

/// How evaluations run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The datasets that requests may name.
    pub datasets: BTreeMap<String, DatasetEntry>,
    /// How many jobs may wait and run.
    pub most_jobs: usize,
    /// Most memory for feature maps, bytes.
    pub memory: u64,
    /// Folder for maps that do not fit; none to encode such images again.
    pub spill: Option<PathBuf>,
    /// Images decoded and encoded at a time: one more than the engine has workers keeps all of them busy.
    pub encoders: usize,
    /// What an image may ask of the decoder.
    pub decode: DecodeLimits,
    /// How long other replicas wait for one that is silent before they take over its shards.
    pub lease: Duration,
}

/// How often a replica looks for jobs that others have taken.
const POLL: Duration = Duration::from_millis(500);
/// A job that this replica cannot run is looked at again so late.
const PASS_OVER: Duration = Duration::from_secs(10);
/// Pauses after the store has failed: the first, doubled each time up to the last.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(10)];

/// Takes jobs and works on them.
pub struct Jobs {
    pub(crate) store: Store,
    pub(crate) engine: Arc<Engine>,
    pub(crate) settings: Settings,
    pub(crate) lease: Lease,
    /// What this process works on.
    running: Mutex<HashMap<String, Cancel>>,
    /// What keeps the store from taking results, until it takes them again.
    trouble: Mutex<Option<String>>,
    wake: Notify,
    stopping: Cancel,
}

impl Jobs {
    /// Jobs of this store, run by this engine. Nothing runs until [`work`](Jobs::work) is called.
    pub fn new(store: Store, engine: Arc<Engine>, settings: Settings) -> Jobs {
        let lease = Lease { owner: Uuid::new_v4().to_string(), time: settings.lease };
        Jobs {
            store,
            engine,
            settings,
            lease,
            running: Mutex::default(),
            trouble: Mutex::default(),
            wake: Notify::new(),
            stopping: Cancel::default(),
        }
    }

    /// Where they are kept.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The datasets that may be named.
    pub fn datasets(&self) -> &BTreeMap<String, DatasetEntry> {
        &self.settings.datasets
    }

    /// What keeps results from being kept at the moment, as a sentence.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// The registered dataset of that name.
    ///
    /// # Errors
    /// [`Error::UnknownDataset`].
    pub fn dataset(&self, name: &str) -> Result<&DatasetEntry, Error> {
        self.settings.datasets.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.settings.datasets.keys().map(String::as_str).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Error::UnknownDataset { name: name.to_owned(), known }
        })
    }

    /// Takes the evaluation of a registered dataset; with `strict` a single problem of the dataset is an error. PCK's threshold is
    /// the dataset's own unless `pck` names one.
    ///
    /// # Errors
    /// [`Error::UnknownDataset`], [`Error::TooMany`], [`Error::KeyReused`], those of the reader and the store.
    pub async fn submit(
        &self,
        name: &str,
        runs: Vec<RunSpec>,
        pck: Measure,
        strict: bool,
        key: Option<&str>,
    ) -> Result<Created, Error> {
        let entry = self.dataset(name)?.clone();
        let read = move || {
            let opened = Opened::registered(&entry, &ReadOptions { strict, ..ReadOptions::default() })?;
            let digest = opened.digest(&entry);
            Ok::<_, Error>((opened, digest, entry))
        };
        let (opened, digest, entry) = blocking(read).await??;
        let summary = DatasetSummary::new(&opened.dataset, &entry.format, &opened.folder);
        let source = Source::Registered { name: name.to_owned(), digest };
        self.take(source, &opened, summary, runs, pck, &[], key).await
    }

    /// Takes the evaluation of pairs whose images were uploaded; `source` and `target` are their ids.
    ///
    /// # Errors
    /// [`Error::UnknownImage`], and those of [`submit`](Jobs::submit).
    pub async fn submit_inline(
        &self,
        name: &str,
        pairs: Vec<PairLine>,
        runs: Vec<RunSpec>,
        pck: Measure,
        strict: bool,
        key: Option<&str>,
    ) -> Result<Created, Error> {
        let options = ReadOptions { strict, ..ReadOptions::default() };
        let opened = Opened::inline(&self.store, name, &pairs, options).await?;
        let summary = DatasetSummary::new(&opened.dataset, &Format::Simple { list: None }, &opened.folder);
        let images = image_ids(&pairs);
        let source = Source::Inline { name: name.to_owned(), pairs };
        self.take(source, &opened, summary, runs, pck, &images, key).await
    }

    #[allow(clippy::too_many_arguments, reason = "the two ways to submit end here, and nothing else")]
    async fn take(
        &self,
        source: Source,
        opened: &Opened,
        summary: DatasetSummary,
        runs: Vec<RunSpec>,
        pck: Measure,
        images: &[String],
        key: Option<&str>,
    ) -> Result<Created, Error> {
        let pck = pck.settings(opened.dataset.threshold);
        opened.check_threshold(pck.threshold)?;
        let specification = Specification { source, runs, pck, code: code_version() };
        let new = NewJob {
            specification: &specification,
            dataset: &summary,
            idempotency_key: key,
            shards: opened.shards().len(),
            images,
        };
        let created = self.store.create(&new, self.settings.most_jobs).await?;
        self.wake.notify_one();
        Ok(created)
    }

    /// Reads a job's pairs, as they were when it was taken.
    ///
    /// # Errors
    /// [`Error::UnknownDataset`], those of the reader and the store, and [`Error::DatasetChanged`].
    pub async fn open(&self, specification: &Specification) -> Result<Opened, Error> {
        let opened = match &specification.source {
            Source::Registered { name, digest } => {
                let (entry, digest) = (self.dataset(name)?.clone(), digest.clone());
                let name = name.clone();
                let read = move || {
                    let opened = Opened::registered(&entry, &ReadOptions::default())?;
                    match opened.digest(&entry) == digest {
                        true => Ok(opened),
                        false => Err(Error::DatasetChanged { name }),
                    }
                };
                blocking(read).await??
            }
            Source::Inline { name, pairs } => Opened::inline(&self.store, name, pairs, ReadOptions::default()).await?,
        };
        Ok(opened)
    }

    /// Cancels a job. Its run here stops at once, one elsewhere when that replica renews its claim. False if it had ended.
    ///
    /// # Errors
    /// [`Error::UnknownJob`] and those of the store.
    pub async fn cancel(&self, id: &str) -> Result<bool, Error> {
        let cancelled = self.store.end(id, State::Cancelled, None).await?;
        if let Some(run) = lock(&self.running).get(id) {
            run.cancel();
        }
        Ok(cancelled)
    }

    /// Stops working: what was made is kept, claims are let go of. [`work`](Jobs::work) returns soon after.
    pub fn stop(&self) {
        self.stopping.cancel();
        for run in lock(&self.running).values() {
            run.cancel();
        }
        self.wake.notify_one();
    }

    /// Works on whatever the store has until it is [stopped](Jobs::stop).
    pub async fn work(self: Arc<Self>) {
        let mut pause = PAUSES[0];
        let mut passed_over: HashMap<String, Instant> = HashMap::new();
        while !self.stopping.is_cancelled() {
            passed_over.retain(|_, since| since.elapsed() < PASS_OVER);
            match self.turn(&mut passed_over).await {
                Ok(true) => pause = PAUSES[0],
                Ok(false) => {
                    pause = PAUSES[0];
                    *lock(&self.trouble) = None;
                    let _ = tokio::time::timeout(POLL, self.wake.notified()).await;
                }
                Err(error) => {
                    tracing::error!("{error}; tried again in {pause:?}");
                    *lock(&self.trouble) = Some(error.to_string());
                    let _ = tokio::time::timeout(pause, self.wake.notified()).await;
                    pause = (pause * 2).min(PAUSES[1]);
                }
            }
        }
    }

    /// Works on one job's shards. False if there is none to work on. An error is the store's.
    async fn turn(self: &Arc<Self>, passed_over: &mut HashMap<String, Instant>) -> Result<bool, Error> {
        // alone, a job is one pass over its images; beside others, a shard is what is taken over if this process dies
        let most = if self.store.is_shared() { 1 } else { usize::MAX };
        let skip: Vec<String> = passed_over.keys().cloned().collect();
        let shards = self.store.claim(&self.lease, most, &skip).await?;
        let Some(id) = shards.first().map(|shard| shard.job.clone()) else { return Ok(false) };
        let ended = match self.store.job(&id).await {
            Ok(job) => self.carry_out(&job, shards).await,
            Err(error) => Err(error),
        };
        // a claim that is let go of in vain runs out by itself
        let _ = self.store.release(&self.lease, &id).await;
        match ended? {
            Ended::Stopped => {}
            Ended::Complete => {
                let job = self.store.job(&id).await?;
                if job.state == State::Done {
                    // now, while the dataset is as it was
                    self.measure(&job).await?;
                }
            }
            Ended::Impossible { reason } if self.store.is_shared() && reason.is_of_this_replica() => {
                tracing::info!(job = %id, "left to others: {reason}");
                passed_over.insert(id, Instant::now());
            }
            Ended::Impossible { reason } => {
                tracing::error!(job = %id, "{reason}");
                self.store.end(&id, State::Failed, Some(&reason.to_string())).await?;
            }
        }
        Ok(true)
    }

    async fn carry_out(self: &Arc<Self>, job: &Job, shards: Vec<crate::Shard>) -> Result<Ended, Error> {
        let specification = job.specification.clone();
        if let Err(reason) = self.can_run(&specification) {
            return Ok(Ended::Impossible { reason });
        }
        let opened = match self.open(&specification).await {
            Ok(opened) => opened,
            Err(error) if error.passes() => return Err(error),
            Err(error) => return Ok(Ended::Impossible { reason: Reason::from(error) }),
        };
        let cancel = Cancel::default();
        lock(&self.running).insert(job.id.clone(), cancel.clone());
        if self.stopping.is_cancelled() {
            cancel.cancel();
        }
        let done = self.store.done(&job.id, specification.runs.len()).await;
        let ended = match done {
            Ok(done) => self.run(job, shards, opened, &done, cancel).await,
            Err(error) => Err(error),
        };
        lock(&self.running).remove(&job.id);
        ended
    }

    async fn run(
        self: &Arc<Self>,
        job: &Job,
        shards: Vec<crate::Shard>,
        opened: Opened,
        done: &HashSet<usize>,
        cancel: Cancel,
    ) -> Result<Ended, Error> {
        let run = Run::new(self.clone(), job, shards, opened, done, cancel.clone());
        let mut work = std::pin::pin!(blocking(move || run.carry_out()));
        let beat = (self.settings.lease / 3).min(POLL);
        loop {
            tokio::select! {
                ended = &mut work => return ended?,
                () = tokio::time::sleep(beat) => {
                    // what cannot be renewed is noticed when results are kept
                    if let Ok(false) = self.store.renew(&self.lease, &job.id).await {
                        cancel.cancel();
                    }
                }
            }
        }
    }

    /// Whether this process would give the results that the job's other pairs have.
    fn can_run(&self, specification: &Specification) -> Result<(), Reason> {
        let here = code_version();
        if specification.code != here {
            return Err(Reason::OtherCode { there: specification.code.clone(), here });
        }
        for run in &specification.runs {
            let model = self.engine.model(&run.model).ok_or_else(|| Reason::NoModel { model: run.model.clone() })?;
            if model.bundle().digest() != run.digest {
                return Err(Reason::OtherModel { model: run.model.clone() });
            }
        }
        Ok(())
    }

    pub(crate) fn runner_settings(&self) -> runner::Settings {
        let Settings { memory, spill, encoders, .. } = &self.settings;
        runner::Settings { memory: *memory, spill: spill.clone(), encoders: *encoders }
    }

    pub(crate) fn kept(&self) {
        *lock(&self.trouble) = None;
    }
}

/// How PCK is to be measured, as far as was said.
#[derive(Clone, Debug, Default)]
pub struct Measure {
    /// Everything but the threshold.
    pub settings: pck::Settings,
    /// What thresholds are a share of; none for the dataset's own.
    pub threshold: Option<pck::Threshold>,
}

impl Measure {
    fn settings(self, threshold: pck::Threshold) -> pck::Settings {
        pck::Settings { threshold: self.threshold.unwrap_or(threshold), ..self.settings }
    }
}

/// Why a job cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    #[error("it was begun by version {there}, and this is {here}, which may give other numbers; submit it again")]
    OtherCode { there: String, here: String },
    #[error("the model `{model}` is not loaded any more")]
    NoModel { model: String },
    #[error("the model `{model}` is another than when the evaluation was begun; submit it again")]
    OtherModel { model: String },
    #[error(transparent)]
    Failed(Error),
    #[error(transparent)]
    Engine(homolog_engine::Error),
    #[error(transparent)]
    Runner(homolog_eval::Error),
}

impl From<Error> for Reason {
    fn from(error: Error) -> Reason {
        Reason::Failed(error)
    }
}

impl Reason {
    /// Whether another replica may be able to do what this one is not.
    fn is_of_this_replica(&self) -> bool {
        !matches!(self, Reason::Runner(homolog_eval::Error::BudgetTooSmall { .. }))
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what blocks on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let failed = |error: tokio::task::JoinError| Error::System {
        what: "a thread for an evaluation",
        reason: std::io::Error::other(error.to_string()),
    };
    tokio::task::spawn_blocking(work).await.map_err(failed)
}
