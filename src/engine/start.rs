//! How an engine begins: models out of bundles, and workers that have run each of them once.

use crate::{
    Engine, EngineConfig, Error, Model, Provider, library, plan::Plan, queue::Queue, worker::Runs, worker::Worker,
};
use homolog_core::{
    bundle::{Bundle, Precision},
    geometry::Size,
    image::Photo,
};
use ort::environment::Environment;
use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

impl Engine {
    /// Finds the library, loads every bundle into every worker, and runs each once at its default resolution, so that the
    /// first request is not the slow one. Blocks until that is done. A bundle that does not load or run is
    /// [`refused`](Engine::refused), and the others are served. A further worker that was not asked for, and for which memory
    /// does not suffice, say, is done without.
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
        // Its drop ends the workers that were started before one that fails.
        let mut engine = Engine {
            models: models(&bundles, provider)?,
            plan: plan.clone(),
            queue: Arc::new(Queue::new(config.queue, plan.workers)),
            workers: Vec::new(),
            runs: Arc::<Runs>::default(),
            backbones: 0,
            loading: BTreeMap::new(),
            refused: Vec::new(),
        };
        for index in 0..plan.workers {
            let optional = index > 0 && config.workers == 0;
            match engine.add_worker(index, &environment, &mut bundles, optional) {
                Ok(()) => {}
                Err(error) if optional => {
                    tracing::warn!(workers = index, planned = plan.workers, "no further worker can be had: {error}");
                    (index..plan.workers).for_each(|_| drop(engine.queue.worker()));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(engine)
    }

    /// Starts a worker that has run every model. What it cannot run is taken from all of them, bundle and model, unless it is `optional`:
    /// then the worker fails.
    fn add_worker(
        &mut self,
        index: usize,
        environment: &Environment,
        bundles: &mut Vec<Arc<Bundle>>,
        optional: bool,
    ) -> Result<(), Error> {
        let mut worker = Worker::new(self.plan.clone(), self.runs.clone());
        for bundle in std::mem::take(bundles) {
            let id = &bundle.manifest().id;
            let Some(model) = self.models.get(id) else { continue };
            let since = Instant::now();
            let ready = worker.load(environment, &bundle).and_then(|()| warm_up(&mut worker, model));
            match ready {
                Ok((size, run)) => {
                    self.runs.costs.began(&model.id, size, run);
                    self.loading.entry(id.clone()).or_insert_with(|| since.elapsed());
                    bundles.push(bundle);
                }
                Err(error) if optional => return Err(error),
                // What one worker cannot run, none is asked for.
                Err(error) => {
                    worker.unload(id);
                    self.models.remove(id);
                    self.refused.push(error);
                }
            }
        }
        if bundles.is_empty() {
            return Err(self.refused.drain(..).next().unwrap_or(Error::NoBundle));
        }
        let (backbones, queue) = (worker.backbones(), self.queue.clone());
        let handle = thread::Builder::new().name(format!("encode-{index}")).spawn(move || worker.work(&queue));
        self.workers.push(handle.map_err(|error| Error::Run { model: "(any)".into(), reason: error.to_string() })?);
        self.backbones = backbones;
        let (models, provider, threads, batch) =
            (self.models.len(), self.plan.provider, self.plan.threads, self.plan.most_batch);
        tracing::info!(index, models, backbones, %provider, threads, batch, "worker ready");
        Ok(())
    }
}

/// The models by their ids; says where a precision is not what the provider is good at.
fn models(bundles: &[Arc<Bundle>], provider: Provider) -> Result<BTreeMap<String, Model>, Error> {
    let mut models = BTreeMap::new();
    for bundle in bundles {
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
    Ok(models)
}

/// Runs a model once; the size, and how long the run took.
fn warm_up(worker: &mut Worker, model: &Model) -> Result<(Size, Duration), Error> {
    let manifest = model.manifest();
    let wrong = |error: homolog_core::Error| Error::Run { model: manifest.id.clone(), reason: error.to_string() };
    let side = manifest.default_resolution;
    let size = Size::new(side, side);
    let grey = Photo::from_rgb(size, vec![128; 3 * size.pixels() as usize]).map_err(wrong)?;
    let (pixels, _) = manifest.preparation(side).prepare(&grey).map_err(wrong)?;
    let since = Instant::now();
    worker.describe(std::slice::from_ref(&model.id), &[&pixels], vec![Arc::default()])?;
    Ok((size, since.elapsed()))
}
