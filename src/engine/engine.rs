//! The bundles that are served, and the way to their descriptors.

use crate::{
    Error, Model, Provider, ProviderChoice,
    plan::Plan,
    queue::{Job, Queue},
    worker::Runs,
};
use homolog_core::{features::FeatureMap, geometry::Size, image::Pixels};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// How an engine runs.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// What to run on.
    pub provider: ProviderChoice,
    /// Worker threads, each with sessions of its own; 0 for what [`Plan::new`] chooses.
    pub workers: usize,
    /// Threads of each worker's sessions; 0 for the cores that this process may use, divided among the workers.
    pub threads: usize,
    /// How many images of requests may wait.
    pub queue: usize,
    /// Most images in a run; 0 for what [`Plan::new`] chooses.
    pub max_batch: usize,
    /// Whether a CPU's tensors are bound as a device's are, which gains nothing there: it makes the device's way testable.
    pub bind_on_host: bool,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        let provider = ProviderChoice::Auto;
        EngineConfig { provider, workers: 0, threads: 0, queue: 64, max_batch: 0, bind_on_host: false }
    }
}

/// What becomes of an image when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// An error at once: for the first image of a request, which has cost nothing yet.
    Refuse,
    /// It waits its turn: for the further images of a request whose work would be lost.
    Wait,
    /// It waits, and is the next: for the one image that a request still needs. So requests that have begun come to their end before
    /// others begin, and none of them for the others' sake too late.
    Next,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Before all background images, in a bounded line: somebody waits for the answer.
    Interactive(WhenFull),
    /// When no interactive image waits. A run is stopped as soon as an interactive image finds no worker free, and begins again
    /// later; after three times it comes to its end.
    Background,
}

/// What an engine has done since it was started, by all workers together; its first run of each model included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Runs of backbones that came to their end.
    pub backbones: u64,
    /// Runs of heads that came to their end.
    pub heads: u64,
    /// How often a background image was stopped for an interactive one.
    pub preemptions: u64,
}

/// An image's descriptors, and where the time went.
#[derive(Clone, Debug)]
pub struct Described {
    /// `[h, w, channels]`, as the head gives them.
    pub features: FeatureMap<'static>,
    /// Spent waiting for a worker; for a background image also in runs that were stopped.
    pub queued: Duration,
    /// Spent in backbone and head, those of the models and images included that were run together with it.
    pub encoded: Duration,
    /// Images in that run.
    pub batch: usize,
}

/// Loaded bundles behind a queue and worker threads.
pub struct Engine {
    pub(crate) models: BTreeMap<String, Model>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) workers: Vec<JoinHandle<()>>,
    pub(crate) runs: Arc<Runs>,
    pub(crate) backbones: usize,
    pub(crate) loading: BTreeMap<String, Duration>,
    pub(crate) refused: Vec<Error>,
}

impl Engine {
    /// The loaded models, in the order of their ids.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.values()
    }

    /// The model of that id.
    pub fn model(&self, id: &str) -> Option<&Model> {
        self.models.get(id)
    }

    /// What the sessions run on.
    pub fn provider(&self) -> Provider {
        self.plan.provider
    }

    /// Worker threads: runs at a time.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// How models are run.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What a model took to be loaded and to run once, by the first worker.
    pub fn loading(&self, model: &str) -> Option<Duration> {
        self.loading.get(model).copied()
    }

    /// Backbones that each worker holds: as many as differ, however many models stand on them.
    pub fn backbones(&self) -> usize {
        self.backbones
    }

    /// Why bundles that were given are not among the models; each error names its bundle.
    pub fn refused(&self) -> &[Error] {
        &self.refused
    }

    /// Whether every worker lives; one that does not has said why in the log.
    pub fn is_alive(&self) -> bool {
        self.workers.iter().all(|worker| !worker.is_finished())
    }

    /// Interactive images that wait for a worker.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Background images that wait for a worker.
    pub fn waiting_behind(&self) -> usize {
        self.queue.waiting_behind()
    }

    /// Runs that are under way.
    pub fn running(&self) -> u64 {
        self.runs.running.load(Ordering::Relaxed)
    }

    /// How long a worker will take for an image of that size, by what such images took lately, or others of the model.
    pub fn expected(&self, model: &Model, size: Size) -> Duration {
        self.runs.costs.expected(&model.id, size)
    }

    /// What was done so far.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            backbones: self.runs.backbones.load(Ordering::Relaxed),
            heads: self.runs.heads.load(Ordering::Relaxed),
            preemptions: self.queue.preemptions(),
        }
    }

    /// Descriptors of one prepared image, `[h, w, channels]`, as the head gives them (not normalised). Dropping the future
    /// stops its run, or lets a worker pass it over when its turn comes.
    ///
    /// # Errors
    /// [`Error::QueueFull`] at once; [`Error::Run`]; [`Error::Stopped`].
    pub async fn describe(&self, model: &Model, pixels: Pixels) -> Result<FeatureMap<'static>, Error> {
        Ok(self.describe_timed(model, pixels, WhenFull::Refuse).await?.features)
    }

    /// [`Engine::describe`], and where the time went; in the log as the spans `queue` and `encode` of the caller's span.
    ///
    /// # Errors
    /// As [`Engine::describe`].
    pub async fn describe_timed(&self, model: &Model, pixels: Pixels, when_full: WhenFull) -> Result<Described, Error> {
        let mut described = self.describe_together(&[model], pixels, Priority::Interactive(when_full)).await?;
        described.pop().ok_or(Error::Stopped)
    }

    /// Descriptors of one prepared image by several models that take the same pixels, in the order of the models. Of models with
    /// equal [backbone keys](Model::backbone_key) the backbone runs once; other backbones run one after the other. The answers
    /// are those of [`Engine::describe`] to the bit, and dropping the future has the same effect.
    ///
    /// # Errors
    /// As [`Engine::describe`]; no [`Error::QueueFull`] for [`Priority::Background`].
    pub async fn describe_together(
        &self,
        models: &[&Model],
        pixels: Pixels,
        priority: Priority,
    ) -> Result<Vec<Described>, Error> {
        let pixels = Arc::new(pixels);
        let mut priority = priority;
        let mut described: Vec<Option<Described>> = vec![None; models.len()];
        for backbone in distinct(models.iter().map(|model| model.backbone_key())) {
            let standing = models.iter().enumerate().filter(|(_, model)| model.backbone_key() == backbone);
            let (places, ids): (Vec<usize>, Vec<Arc<str>>) =
                standing.map(|(place, model)| (place, model.id.clone())).unzip();
            let answers = self.call(ids, pixels.clone(), priority).await?;
            for (place, answer) in places.into_iter().zip(answers) {
                described[place] = Some(answer);
            }
            if let Priority::Interactive(_) = priority {
                // The work that was done would be lost.
                priority = Priority::Interactive(WhenFull::Wait);
            }
        }
        Ok(described.into_iter().flatten().collect())
    }

    async fn call(
        &self,
        models: Vec<Arc<str>>,
        pixels: Arc<Pixels>,
        priority: Priority,
    ) -> Result<Vec<Described>, Error> {
        let (reply, answer) = oneshot::channel();
        let call = CancelOnDrop(Arc::default());
        let caller = tracing::Span::current();
        let (since, waiting) = (Instant::now(), tracing::info_span!("queue"));
        let background = priority == Priority::Background;
        let job = Job {
            models,
            pixels,
            call: call.0.clone(),
            since,
            waiting,
            caller,
            reply,
            background,
            preempted: 0,
            alone: false,
        };
        match priority {
            Priority::Interactive(when_full) => self.queue.push(job, when_full).await?,
            Priority::Background => self.queue.push_background(job)?,
        }
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// Takes no more images. Interactive images that wait are still answered; background images are given up with
    /// [`Error::Stopped`].
    pub fn shutdown(&self) {
        self.queue.close();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.queue.close();
        for worker in self.workers.drain(..) {
            // A worker that panicked has said so on its own; there is nothing to add.
            let _ = worker.join();
        }
    }
}

/// Cancels its call when the caller's future is dropped; after an answer there is nothing left to cancel.
struct CancelOnDrop(Arc<crate::call::Call>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The values that differ, in the order in which they first come.
pub(crate) fn distinct<T: Copy + PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}
