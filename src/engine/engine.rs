//! The bundles that are served, and the way to their descriptors.

use crate::{
    Error, Provider, ProviderChoice, library,
    worker::{Call, Job, Worker},
};
use homolog_core::{
    bundle::{Bundle, Manifest},
    features::FeatureMap,
    geometry::{Fit, Size},
    image::{Photo, Pixels, prepare},
};
use std::{collections::BTreeMap, sync::Arc, thread::JoinHandle};
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

/// Loaded bundles behind a bounded queue and worker threads.
pub struct Engine {
    models: BTreeMap<String, Model>,
    provider: Provider,
    queue: async_channel::Sender<Job>,
    workers: Vec<JoinHandle<()>>,
    backbones: usize,
}

impl Engine {
    /// Finds the library, loads every bundle into every worker, and runs each once at its default resolution, so that the
    /// first request is not the slow one. Blocks until that is done.
    ///
    /// # Errors
    /// [`Error::LibraryNotFound`], [`Error::Library`], [`Error::CudaUnavailable`], [`Error::Load`], [`Error::Run`],
    /// [`Error::SameName`].
    pub fn start(config: &EngineConfig, bundles: Vec<Bundle>) -> Result<Engine, Error> {
        let environment = library::environment()?;
        let provider = config.provider.settle(&environment)?;
        let workers = config.workers.max(1);
        // `available_parallelism` heeds the cgroup's limit.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if config.threads > 0 { config.threads } else { (cores / workers).max(1) };

        let bundles: Vec<Arc<Bundle>> = bundles.into_iter().map(Arc::new).collect();
        let mut models = BTreeMap::new();
        for bundle in &bundles {
            let id = bundle.manifest().id.clone();
            let model = Model { id: id.as_str().into(), bundle: bundle.clone() };
            if models.insert(id.clone(), model).is_some() {
                return Err(Error::SameName(id));
            }
        }
        let (queue, jobs) = async_channel::bounded(config.queue.max(1));
        let mut handles = Vec::with_capacity(workers);
        let mut backbones = 0;
        for index in 0..workers {
            let mut worker = Worker::load(&environment, &bundles, provider, threads)?;
            for model in models.values() {
                warm_up(&mut worker, model)?;
            }
            backbones = worker.backbones();
            tracing::info!(index, models = models.len(), backbones, %provider, threads, "worker ready");
            let jobs = jobs.clone();
            let handle = std::thread::Builder::new().name(format!("encode-{index}")).spawn(move || worker.work(&jobs));
            handles.push(handle.map_err(|error| Error::Run { model: "(any)".into(), reason: error.to_string() })?);
        }
        Ok(Engine { models, provider, queue, workers: handles, backbones })
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

    /// Images that wait for a worker.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Descriptors of one prepared image, `[h, w, channels]`, as the head gives them (not normalised). Dropping the future
    /// drops the image from the queue or stops its run.
    ///
    /// # Errors
    /// [`Error::QueueFull`] at once; [`Error::Run`]; [`Error::Stopped`].
    pub async fn describe(&self, model: &Model, pixels: Pixels) -> Result<FeatureMap<'static>, Error> {
        let (reply, answer) = oneshot::channel();
        let call = CancelOnDrop(Arc::default());
        let job = Job { model: model.id.clone(), pixels, call: call.0.clone(), reply };
        self.queue.try_send(job).map_err(|error| match error {
            async_channel::TrySendError::Full(_) => Error::QueueFull { waiting: self.queue.len() },
            async_channel::TrySendError::Closed(_) => Error::Stopped,
        })?;
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
