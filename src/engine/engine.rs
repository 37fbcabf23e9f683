//! The bundles that are served, and the way to their descriptors.

use crate::{
    Error, Model, Provider, ProviderChoice, library,
    plan::Plan,
    queue::{Job, Queue},
    worker::{Runs, Worker},
};
use homolog_core::{
    bundle::{Bundle, Precision},
    features::FeatureMap,
    geometry::Size,
    image::{Photo, Pixels},
};
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
    models: BTreeMap<String, Model>,
    plan: Arc<Plan>,
    queue: Arc<Queue>,
    workers: Vec<JoinHandle<()>>,
    runs: Arc<Runs>,
    backbones: usize,
    loading: BTreeMap<String, Duration>,
    refused: Vec<Error>,
}

impl Engine {
    /// Finds the library, loads every bundle into every worker, and runs each once at its default resolution, so that the
    /// first request is not the slow one. Blocks until that is done. A bundle that does not load or run is
    /// [`refused`](Engine::refused), and the others are served.
    ///
    /// # Errors
    /// [`Error::LibraryNotFound`], [`Error::Library`], [`Error::CudaUnavailable`], [`Error::SameName`]; [`Error::Load`] or
    /// [`Error::Run`] when no bundle is left.
    pub fn start(config: &EngineConfig, bundles: Vec<Bundle>) -> Result<Engine, Error> {
        let environment = library::environment()?;
        let provider = config.provider.settle(&environment)?;
        let plan = Plan::new(provider, crate::cores(), config.workers, config.threads, config.max_batch);
        let plan = Arc::new(if config.bind_on_host { plan.bound_on_host() } else { plan });

        let mut bundles: Vec<Arc<Bundle>> = bundles.into_iter().map(Arc::new).collect();
        let mut models = BTreeMap::new();
        for bundle in &bundles {
            let id = bundle.manifest().id.clone();
            let precision = bundle.manifest().precision;
            let made_for = match precision {
                Precision::Int8 => Provider::Cpu,
                Precision::Fp16 => Provider::Cuda,
                Precision::Fp32 | Precision::Fp16Storage => provider,
            };
            if provider == Provider::Cuda && made_for == provider && precision != Precision::Fp16 {
                tracing::info!(model = id, %precision, "in fp16 it takes less than half the time here");
            }
            if made_for != provider {
                tracing::warn!(model = id, %precision, %provider, "this precision is made for {made_for}, and may be slow here");
            }
            let backbone = bundle.backbone_key().into();
            let digest = bundle.digest().into();
            let model = Model { id: id.as_str().into(), bundle: bundle.clone(), digest, backbone };
            if models.insert(id.clone(), model).is_some() {
                return Err(Error::SameName(id));
            }
        }
        let queue = Arc::new(Queue::new(config.queue, plan.workers));
        let runs = Arc::<Runs>::default();
        // Its drop ends the workers that were started before one that fails.
        let mut engine = Engine {
            models,
            plan: plan.clone(),
            queue,
            workers: Vec::new(),
            runs,
            backbones: 0,
            loading: BTreeMap::new(),
            refused: Vec::new(),
        };
        for index in 0..plan.workers {
            let mut worker = Worker::new(plan.clone(), engine.runs.clone());
            for bundle in std::mem::take(&mut bundles) {
                let id = &bundle.manifest().id;
                let Some(model) = engine.models.get(id) else { continue };
                let since = Instant::now();
                let ready = worker.load(&environment, &bundle).and_then(|()| warm_up(&mut worker, model));
                match ready {
                    Ok(()) => {
                        let took = since.elapsed();
                        engine.loading.entry(id.clone()).or_insert(took);
                        bundles.push(bundle);
                    }
                    // What one worker cannot run, none is asked for.
                    Err(error) => {
                        worker.unload(id);
                        engine.models.remove(id);
                        engine.refused.push(error);
                    }
                }
            }
            if bundles.is_empty() {
                return Err(engine.refused.drain(..).next().unwrap_or(Error::NoBundle));
            }
            engine.backbones = worker.backbones();
            let models = engine.models.len();
            let (threads, batch) = (plan.threads, plan.most_batch);
            tracing::info!(index, models, backbones = engine.backbones, %provider, threads, batch, "worker ready");
            let queue = engine.queue.clone();
            let handle = std::thread::Builder::new().name(format!("encode-{index}")).spawn(move || worker.work(&queue));
            engine
                .workers
                .push(handle.map_err(|error| Error::Run { model: "(any)".into(), reason: error.to_string() })?);
        }
        Ok(engine)
    }

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

    /// How long so many images take, by what images took lately; nothing before the first.
    pub fn expected_time(&self, images: usize) -> Duration {
        self.runs.lately().mul_f64(images as f64 / self.workers().max(1) as f64)
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
        let job = Job { models, pixels, call: call.0.clone(), since, waiting, caller, reply, preempted: 0 };
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

fn warm_up(worker: &mut Worker, model: &Model) -> Result<(), Error> {
    let manifest = model.manifest();
    let wrong = |error: homolog_core::Error| Error::Run { model: manifest.id.clone(), reason: error.to_string() };
    let side = manifest.default_resolution;
    let size = Size::new(side, side);
    let grey = Photo::from_rgb(size, vec![128; 3 * size.pixels() as usize]).map_err(wrong)?;
    let (pixels, _) = manifest.preparation(side).prepare(&grey).map_err(wrong)?;
    worker.describe(std::slice::from_ref(&model.id), &[&pixels], vec![Arc::default()]).map(drop)
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
