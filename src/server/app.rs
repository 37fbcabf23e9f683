//! What all requests share: the configuration, the engine once it is loaded, and the bounded pools for work of the CPU.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use homolog_core::bundle;
use homolog_engine::{DescriptorCache, Engine, Model};
use homolog_jobs::{Jobs, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::Access;
use crate::backlog::Backlog;
use crate::config::Config;
use crate::error::ApiError;
use crate::metrics::Metrics;
use crate::pool::Pool;

/// The id of the bundle in the repository, the default where there are several and none is set.
const DEMO: &str = "demo";

/// Results of evaluations that are put together at a time.
const MOST_RESULTS: usize = 2;

/// How long the store of evaluations is left alone after it did not open.
const RETRY: Duration = Duration::from_secs(5);

/// A handle to what requests share; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    config: Config,
    engine: OnceLock<Arc<Engine>>,
    jobs: OnceLock<Arc<Jobs>>,
    /// Why there are no jobs yet.
    no_jobs: Mutex<String>,
    /// Whether the store of evaluations was asked for once, in vain or not.
    jobs_tried: AtomicBool,
    stopping: AtomicBool,
    reading: Pool,
    decoding: Pool,
    finishing: Pool,
    results: Pool,
    admitted: Arc<Semaphore>,
    body_memory: Arc<Semaphore>,
    answer_memory: Arc<Semaphore>,
    backlog: Backlog,
    access: Access,
    cache: DescriptorCache,
    metrics: Metrics,
}

/// Why no model can be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The folder cannot be read.
    #[error("models: the folder {folder} cannot be read: {reason}")]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        reason: String,
    },
    /// Nothing usable in it.
    #[error("models: no usable bundle in the folder {folder} ({refused} refused, see above)")]
    NoModel {
        /// The folder.
        folder: String,
        /// How many were refused.
        refused: usize,
    },
    /// The default is not among the models.
    #[error("default_model: `{id}` is not loaded; loaded: {loaded}")]
    NoDefault {
        /// What was configured.
        id: String,
        /// What there is.
        loaded: String,
    },
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] homolog_engine::Error),
}

impl App {
    /// An application whose models are not loaded yet.
    pub fn new(config: Config) -> App {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = match config.threads {
            0 => cores,
            threads => threads,
        };
        let memory = |mib| Arc::new(Semaphore::new(permits(mib)));
        App(Arc::new(Shared {
            admitted: Arc::new(Semaphore::new(config.max_requests)),
            body_memory: memory(config.body_memory_mib),
            answer_memory: memory(config.answer_memory_mib),
            backlog: Backlog::default(),
            access: Access::new(&config.api_keys),
            cache: DescriptorCache::new(config.cache_mib.saturating_mul(1 << 20), config.cache_half),
            metrics: Metrics::default(),
            config,
            engine: OnceLock::new(),
            jobs: OnceLock::new(),
            no_jobs: Mutex::new("the models are still being loaded".to_owned()),
            jobs_tried: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            reading: Pool::new(threads),
            decoding: Pool::new(threads),
            finishing: Pool::new(threads),
            results: Pool::new(MOST_RESULTS),
        }))
    }

    /// Checks the bundles in the models folder, loads those that pass and runs each once. Blocks until that is done.
    ///
    /// # Errors
    /// [`LoadError`]; a bundle that is refused beside others that are not is logged and no error.
    pub fn load(&self) -> Result<(), LoadError> {
        let config = &self.0.config;
        let mut usable = Vec::new();
        let mut refused = 0;
        for bundle in bundle::scan(&config.models).map_err(|error| folder(config, error))? {
            match bundle {
                Ok(bundle) => usable.push(bundle),
                Err(error) => {
                    refused += 1;
                    tracing::error!("{error}");
                }
            }
        }
        if usable.is_empty() {
            let folder = config.models.display().to_string();
            return Err(LoadError::NoModel { folder, refused });
        }
        let engine = Engine::start(&config.engine(), usable)?;
        for error in engine.refused() {
            tracing::error!("{error}");
        }
        // it may have been refused just now
        if let Some(id) = &config.default_model
            && engine.model(id).is_none()
        {
            return Err(LoadError::NoDefault { id: id.clone(), loaded: ids(&engine) });
        }
        tracing::info!(models = ids(&engine), provider = %engine.provider(), "ready");
        // a second load would change nothing
        let _ = self.0.engine.set(Arc::new(engine));
        Ok(())
    }

    /// Opens the store of evaluations behind the loaded models. What fails is logged, told to whoever asks, and tried again:
    /// matching goes on without. Returns when it is open.
    ///
    /// # Errors
    /// [`ApiError::NotReady`] if the models are not loaded.
    pub async fn open_jobs(&self) -> Result<Arc<Jobs>, ApiError> {
        self.engine()?;
        let config = &self.0.config;
        loop {
            let opened = Store::open(&config.eval_store).await;
            let opened = opened.map(|store| self.set_jobs(store));
            if let Err(error) = &opened {
                tracing::error!(store = %config.eval_store, "{error}; tried again in {RETRY:?}");
                *self.0.no_jobs.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
            }
            self.0.jobs_tried.store(true, Ordering::Release);
            match opened {
                Ok(jobs) => return jobs,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// Takes a store that is open.
    ///
    /// # Errors
    /// [`ApiError::NotReady`] if the models are not loaded.
    pub fn set_jobs(&self, store: Store) -> Result<Arc<Jobs>, ApiError> {
        let loading = ApiError::NotReady("the models are still being loaded");
        let engine = self.0.engine.get().ok_or(loading)?.clone();
        let settings = self.0.config.evaluations(engine.workers());
        let jobs = Arc::new(Jobs::new(store, engine, settings));
        Ok(self.0.jobs.get_or_init(|| jobs).clone())
    }

    /// The evaluations.
    ///
    /// # Errors
    /// [`ApiError::NoEvaluations`] until their store is open.
    pub fn jobs(&self) -> Result<&Arc<Jobs>, ApiError> {
        self.0.jobs.get().ok_or_else(|| {
            let reason = self.0.no_jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
            ApiError::NoEvaluations { reason }
        })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The engine.
    ///
    /// # Errors
    /// [`ApiError::NotReady`] until the models are loaded.
    pub fn engine(&self) -> Result<&Engine, ApiError> {
        let loading = ApiError::NotReady("the models are still being loaded");
        self.0.engine.get().map(Arc::as_ref).ok_or(loading)
    }

    /// Whether requests should be sent here.
    ///
    /// # Errors
    /// [`ApiError::NotReady`] until the models are loaded, when a worker is gone, and from the moment the service is told to
    /// stop.
    pub fn ready(&self) -> Result<(), ApiError> {
        if self.is_stopping() {
            return Err(ApiError::NotReady("the service is stopping"));
        }
        if !self.engine()?.is_alive() {
            return Err(ApiError::NotReady("a worker is gone; its log line says why"));
        }
        // without a store that cannot be had, matching goes on
        if !self.0.jobs_tried.load(Ordering::Acquire) {
            return Err(ApiError::NotReady("the store of evaluations is being opened"));
        }
        Ok(())
    }

    /// Whether there is a place among the requests that are answered at once.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`] when all are taken.
    pub fn has_place(&self) -> Result<(), ApiError> {
        let limit = self.0.config.max_requests;
        if self.0.admitted.available_permits() > 0 { Ok(()) } else { Err(ApiError::TooManyRequests { limit }) }
    }

    /// A place among the requests that are answered at once, to be held until the answer is ready.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`] when all are taken.
    pub fn admit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let limit = self.0.config.max_requests;
        Arc::clone(&self.0.admitted).try_acquire_owned().map_err(|_| ApiError::TooManyRequests { limit })
    }

    /// The bytes that bodies may still take, one permit each.
    pub fn body_memory(&self) -> &Arc<Semaphore> {
        &self.0.body_memory
    }

    /// The bytes that answers may still take which are not read yet, one permit each.
    pub fn answer_memory(&self) -> &Arc<Semaphore> {
        &self.0.answer_memory
    }

    /// How many of them an answer of so many bytes takes: all, if it is longer.
    pub fn answer_permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(permits(self.0.config.answer_memory_mib))).unwrap_or(u32::MAX)
    }

    /// What requests that were taken still want of the workers.
    pub fn backlog(&self) -> &Backlog {
        &self.0.backlog
    }

    /// Images of a request that wait or run at a time, one more than there are workers: the next photo is decoded while they encode.
    pub fn at_a_time(&self) -> usize {
        self.engine().map_or(1, Engine::workers) + 1
    }

    /// Who may use the service.
    pub fn access(&self) -> &Access {
        &self.0.access
    }

    /// Descriptors of images that were asked for before.
    pub fn cache(&self) -> &DescriptorCache {
        &self.0.cache
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Where requests begin: images are decoded, as many at once as there are threads, so that decoding many large ones neither
    /// starves the encoder nor fills the memory.
    pub fn decoding(&self) -> &Pool {
        &self.0.decoding
    }

    /// Where requests are read before anything is known of them: JSON, digests of long files.
    pub fn reading(&self) -> &Pool {
        &self.0.reading
    }

    /// Where requests end: points are searched, files written. What was encoded does not wait behind what has just come.
    pub fn finishing(&self) -> &Pool {
        &self.0.finishing
    }

    /// Where results of evaluations are put together, each of which takes its predictions into memory.
    pub fn results(&self) -> &Pool {
        &self.0.results
    }

    /// From now on the service is not ready; requests that run go on, evaluations stop where they are.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
        if let Some(jobs) = self.0.jobs.get() {
            jobs.stop();
        }
    }

    /// Whether the service was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    /// Takes no more images; those that wait are still answered.
    pub fn shutdown(&self) {
        if let Some(engine) = self.0.engine.get() {
            engine.shutdown();
        }
    }

    /// The model of that id, or the default one: that of the configuration, else the only one, else the demo.
    ///
    /// # Errors
    /// [`ApiError::NotReady`], [`ApiError::UnknownModel`], or [`ApiError::Invalid`] where there is no default.
    pub fn model(&self, id: Option<&str>) -> Result<&Model, ApiError> {
        let engine = self.engine()?;
        if let Some(id) = id.or(self.0.config.default_model.as_deref()) {
            return engine.model(id).ok_or_else(|| ApiError::UnknownModel { id: id.to_owned(), loaded: ids(engine) });
        }
        let mut models = engine.models();
        match (models.next(), models.next()) {
            (Some(only), None) => Ok(only),
            _ => engine.model(DEMO).ok_or_else(|| {
                let loaded = ids(engine);
                ApiError::invalid("model", format!("name one of several models: {loaded}"))
            }),
        }
    }
}

/// A permit for each byte, as many as there can be.
fn permits(mib: u64) -> usize {
    usize::try_from(mib.saturating_mul(1 << 20)).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}

fn folder(config: &Config, error: homolog_core::Error) -> LoadError {
    let reason = match error {
        homolog_core::Error::Bundle { reason, .. } => reason,
        other => other.to_string(),
    };
    LoadError::Folder { folder: config.models.display().to_string(), reason }
}

fn ids(engine: &Engine) -> String {
    let ids: Vec<&str> = engine.models().map(|model| model.manifest().id.as_str()).collect();
    ids.join(", ")
}
