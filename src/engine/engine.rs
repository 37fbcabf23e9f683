//! The bundles that are served, and the way to their descriptors.

use crate::{
    Error, Provider, ProviderChoice, library,
    worker::{Call, Job, Waiting, Worker},
};
use homolog_core::{
    bundle::{Bundle, Manifest},
    features::FeatureMap,
    geometry::{Fit, Size},
    image::{Photo, Pixels, prepare},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// How an engine runs.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// What to run on.
    pub provider: ProviderChoice,
    /// Worker threads, each with sessions of its own. On a CPU one worker with all cores answers a single request soonest at
    /// the same throughput.
    pub workers: usize,
    /// Threads of each worker's sessions; 0 for the cores that this process may use, divided among the workers.
    pub threads: usize,
    /// How many images may wait.
    pub queue: usize,
}

/// A bundle that is loaded.
#[derive(Clone, Debug)]
pub struct Model {
    id: Arc<str>,
    bundle: Arc<Bundle>,
}

impl Model {
    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        self.bundle.manifest()
    }
}

/// What becomes of an image when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// An error at once: for the first image of a request, which has cost nothing yet.
    Refuse,
    /// It waits its turn: for the further images of a request whose work would be lost.
    Wait,
}

/// An image's descriptors, and where the time went.
#[derive(Clone, Debug)]
pub struct Described {
    /// `[h, w, channels]`, as the head gives them.
    pub features: FeatureMap<'static>,
    /// Spent waiting for a worker.
    pub queued: Duration,
    /// Spent in backbone and head.
    pub encoded: Duration,
}

/// Loaded bundles behind a bounded queue and worker threads.
pub struct Engine {
    models: BTreeMap<String, Model>,
    provider: Provider,
    queue: async_channel::Sender<Job>,
    workers: Vec<JoinHandle<()>>,
    backbones: usize,
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
        let workers = config.workers.max(1);
        // `available_parallelism` heeds the cgroup's limit.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if config.threads > 0 { config.threads } else { (cores / workers).max(1) };

        let mut bundles: Vec<Arc<Bundle>> = bundles.into_iter().map(Arc::new).collect();
        let mut models = BTreeMap::new();
        for bundle in &bundles {
            let id = bundle.manifest().id.clone();
            let model = Model { id: id.as_str().into(), bundle: bundle.clone() };
            if models.insert(id.clone(), model).is_some() {
                return Err(Error::SameName(id));
            }
        }
        let (queue, jobs) = async_channel::bounded(config.queue.max(1));
        let (mut handles, mut refused, mut backbones) = (Vec::new(), Vec::new(), 0);
        for index in 0..workers {
            let mut worker = Worker::default();
            for bundle in std::mem::take(&mut bundles) {
                let id = &bundle.manifest().id;
                let Some(model) = models.get(id) else { continue };
                let ready =
                    worker.load(&environment, &bundle, provider, threads).and_then(|()| warm_up(&mut worker, model));
                match ready {
                    Ok(()) => bundles.push(bundle),
                    // What one worker cannot run, none is asked for.
                    Err(error) => {
                        worker.unload(id);
                        models.remove(id);
                        refused.push(error);
                    }
                }
            }
            if bundles.is_empty() {
                return Err(refused.into_iter().next().unwrap_or(Error::NoBundle));
            }
            backbones = worker.backbones();
            tracing::info!(index, models = models.len(), backbones, %provider, threads, "worker ready");
            let jobs = jobs.clone();
            let handle = std::thread::Builder::new().name(format!("encode-{index}")).spawn(move || worker.work(&jobs));
            handles.push(handle.map_err(|error| Error::Run { model: "(any)".into(), reason: error.to_string() })?);
        }
        Ok(Engine { models, provider, queue, workers: handles, backbones, refused })
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
        self.provider
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

    /// Images that wait for a worker.
    pub fn waiting(&self) -> usize {
        self.queue.len()
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
        let (reply, answer) = oneshot::channel();
        let call = CancelOnDrop(Arc::default());
        let caller = tracing::Span::current();
        let waiting = Waiting { since: Instant::now(), span: tracing::info_span!("queue") };
        let job = Job { model: model.id.clone(), pixels, call: call.0.clone(), waiting, caller, reply };
        match when_full {
            WhenFull::Refuse => self.queue.try_send(job).map_err(|error| match error {
                async_channel::TrySendError::Full(_) => Error::QueueFull { waiting: self.queue.len() },
                async_channel::TrySendError::Closed(_) => Error::Stopped,
            })?,
            WhenFull::Wait => self.queue.send(job).await.map_err(|_| Error::Stopped)?,
        }
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// Takes no more images; those that wait are still answered.
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
struct CancelOnDrop(Arc<Call>);

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
    let fit = Fit::new(manifest.fit, size, side, manifest.backbone.patch).map_err(wrong)?;
    let grey = Photo::from_rgb(size, vec![128; 3 * size.pixels() as usize]).map_err(wrong)?;
    let pixels = prepare(&grey, &fit, manifest.interpolation, &manifest.normalisation).map_err(wrong)?;
    worker.describe(&model.id, pixels, &Call::default()).map(drop)
}
