//! The loop in which a process works on jobs: claim shards, carry them out, let go of them, and wait where there is trouble.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use homolog_eval::runner::Cancel;

use crate::dataset::Opened;
use crate::jobs::{blocking, lock};
use crate::run::{Ended, Run};
use crate::{Error, Job, Jobs, Shard, Specification, State, code_version};

/// How often a replica looks for jobs that others have taken.
const POLL: Duration = Duration::from_millis(500);
/// A job that this replica cannot run is looked at again so late.
const PASS_OVER: Duration = Duration::from_secs(10);
/// Pauses after the store has failed: the first, doubled each time up to the last.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];

/// What is kept from one turn to the next.
#[derive(Default)]
struct Hand {
    /// Jobs that this replica cannot run, and since when it knows.
    passed_over: HashMap<String, Instant>,
    /// A job whose shards could not be let go of. Nobody else takes them up before their lease runs out.
    held: Option<String>,
    /// The job that was worked on last, and its pairs: its next shard is of the same.
    opened: Option<(String, Arc<Opened>)>,
}

impl Jobs {
    /// Works on whatever the store has until it is [stopped](Jobs::stop).
    pub async fn work(self: Arc<Self>) {
        let mut pause = PAUSES[0];
        let mut hand = Hand::default();
        while !self.stopping.is_cancelled() {
            hand.passed_over.retain(|_, since| since.elapsed() < PASS_OVER);
            match self.turn(&mut hand).await {
                Ok(true) => pause = PAUSES[0],
                Ok(false) => {
                    pause = PAUSES[0];
                    hand.opened = None;
                    self.kept();
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

    /// Works on one job's shards. False if there is none to work on. An error is the store's or the system's, and passes.
    async fn turn(self: &Arc<Self>, hand: &mut Hand) -> Result<bool, Error> {
        if let Some(id) = &hand.held {
            self.store.release(&self.lease, id).await?;
            hand.held = None;
        }
        // alone, a job is one pass over its images; beside others, a shard is what is taken over if this process dies
        let most = if self.store.is_shared() { 1 } else { usize::MAX };
        let skip: Vec<String> = hand.passed_over.keys().cloned().collect();
        let shards = self.store.claim(&self.lease, most, &skip).await?;
        let Some(id) = shards.first().map(|shard| shard.job.clone()) else { return Ok(false) };
        let ended = self.carry_out(&id, shards, hand).await;
        if self.store.release(&self.lease, &id).await.is_err() {
            hand.held = Some(id.clone());
        }
        match ended {
            Err(error) if error.passes() => {
                if error.is_of_one_job() {
                    // others go first meanwhile
                    self.store.note(&id, &format!("tried again: {error}")).await?;
                    hand.passed_over.insert(id, Instant::now());
                }
                return Err(error);
            }
            Ok(Ended::Stopped) => {}
            Ok(Ended::Complete { opened }) => {
                let job = self.store.job(&id).await?;
                if job.state == State::Done {
                    // now, while the dataset is as it was
                    let evaluation = self.measure(&job, &opened).await?;
                    self.keep(&id, &evaluation).await?;
                }
            }
            Ok(Ended::Impossible { reason }) => self.give_up(id, reason, hand).await?,
            // another job may be without fault
            Err(error) => self.give_up(id, Reason::Failed(error), hand).await?,
        }
        Ok(true)
    }

    /// Leaves a job to other replicas that may be able to run it; if there can be none such, it has failed.
    async fn give_up(&self, id: String, reason: Reason, hand: &mut Hand) -> Result<(), Error> {
        if self.store.is_shared() && reason.is_of_this_replica() {
            tracing::info!(job = %id, "left to others: {reason}");
            self.store.note(&id, &format!("left to other replicas: {reason}")).await?;
            hand.passed_over.insert(id, Instant::now());
            return Ok(());
        }
        tracing::error!(job = %id, "{reason}");
        self.store.end(&id, State::Failed, Some(&reason.to_string())).await?;
        Ok(())
    }

    async fn carry_out(self: &Arc<Self>, id: &str, shards: Vec<Shard>, hand: &mut Hand) -> Result<Ended, Error> {
        let job = self.store.job(id).await?;
        if let Err(reason) = self.can_run(&job.specification) {
            return Ok(Ended::Impossible { reason });
        }
        let opened = match hand.opened.take_if(|(last, _)| last == id) {
            Some((_, opened)) => opened,
            None => Arc::new(self.open(&job.specification).await?),
        };
        hand.opened = Some((id.to_owned(), opened.clone()));
        let cancel = Cancel::default();
        lock(&self.running).insert(job.id.clone(), cancel.clone());
        if self.stopping.is_cancelled() {
            cancel.cancel();
        }
        let ended = match self.store.done(id, job.specification.runs.len()).await {
            Ok(done) => self.run(&job, shards, opened, &done, cancel).await,
            Err(error) => Err(error),
        };
        lock(&self.running).remove(id);
        ended
    }

    async fn run(
        self: &Arc<Self>,
        job: &Job,
        shards: Vec<Shard>,
        opened: Arc<Opened>,
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

impl Reason {
    /// Whether another replica may be able to do what this one is not: one with another version, other bundles or other datasets.
    fn is_of_this_replica(&self) -> bool {
        match self {
            Reason::OtherCode { .. } | Reason::NoModel { .. } | Reason::OtherModel { .. } => true,
            Reason::Failed(error) => {
                matches!(error, Error::UnknownDataset { .. } | Error::DatasetChanged { .. } | Error::Eval(_))
            }
            Reason::Engine(_) | Reason::Runner(_) => false,
        }
    }
}
