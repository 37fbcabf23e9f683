//! The jobs of one process: taken for the store, worked on, stopped.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use homolog_core::image::DecodeLimits;
use homolog_engine::Engine;
use homolog_eval::document::DatasetSummary;
use homolog_eval::readers::{Format, ReadOptions, simple::PairLine};
use homolog_eval::runner::Cancel;
use homolog_eval::{pck, runner};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::dataset::{Opened, image_ids};
use crate::{
    Created, DatasetEntry, Error, Key, Lease, NewJob, RunSpec, Source, Specification, State, Store, code_version,
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

/// Takes jobs and works on them.
pub struct Jobs {
    pub(crate) store: Store,
    pub(crate) engine: Arc<Engine>,
    pub(crate) settings: Settings,
    pub(crate) lease: Lease,
    /// What this process works on.
    pub(crate) running: Mutex<HashMap<String, Cancel>>,
    /// What keeps the store from taking results, until it takes them again.
    pub(crate) trouble: Mutex<Option<String>>,
    pub(crate) wake: Notify,
    pub(crate) stopping: Cancel,
    /// Pairs that this process has evaluated.
    pub(crate) pairs: AtomicU64,
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
            pairs: AtomicU64::new(0),
        }
    }

    /// Where they are kept.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Pairs that this process has evaluated, those that failed included.
    pub fn pairs_evaluated(&self) -> u64 {
        self.pairs.load(Ordering::Relaxed)
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
        key: Option<&Key>,
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
        key: Option<&Key>,
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
        key: Option<&Key>,
    ) -> Result<Created, Error> {
        let pck = pck.settings(opened.dataset.threshold);
        opened.check_threshold(pck.threshold)?;
        let specification = Specification { source, runs, pck, code: code_version() };
        let new =
            NewJob { specification: &specification, dataset: &summary, key, shards: opened.shards().len(), images };
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
        self.store.job(id).await?;
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

    pub(crate) fn runner_settings(&self) -> runner::Settings {
        let Settings { memory, spill, encoders, .. } = &self.settings;
        runner::Settings { memory: *memory, spill: spill.clone(), encoders: *encoders }
    }

    /// Nothing keeps results from being kept.
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
