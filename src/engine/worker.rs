//! Worker threads. A session runs one thing at a time, so a thread owns it: each worker holds its own sessions of every
//! backbone and head, and takes images from one bounded queue.

use crate::{Described, Error, Provider, session};
use homolog_core::{bundle::Bundle, features::FeatureMap, geometry::Grid, image::Pixels};
use ort::{
    environment::Environment,
    session::{RunOptions, Session},
    value::Tensor,
};
use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tokio::sync::oneshot;
use tracing::Span;

/// An image on its way to its descriptors.
pub(crate) struct Job {
    pub model: Arc<str>,
    pub pixels: Pixels,
    pub call: Arc<Call>,
    pub waiting: Waiting,
    /// The span in which the caller asked.
    pub caller: Span,
    pub reply: oneshot::Sender<Result<Described, Error>>,
}

/// An image's time in the queue: its span is closed when a worker takes the image, or the caller leaves.
pub(crate) struct Waiting {
    pub since: Instant,
    pub span: Span,
}

/// What the caller and the worker share of a call: whether the caller is gone, and the run to stop when it goes.
#[derive(Default)]
pub(crate) struct Call {
    gone: AtomicBool,
    running: Mutex<Option<Arc<RunOptions>>>,
}

impl Call {
    /// The caller is gone: what waits is dropped, what runs is stopped (within some tens of milliseconds).
    pub fn cancel(&self) {
        self.gone.store(true, Ordering::SeqCst);
        if let Some(options) = self.lock().as_ref() {
            // A run that cannot be stopped comes to its own end, and nobody takes its result.
            let _ = options.terminate();
        }
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// Announces a run. The order (announce, then look) makes a cancellation at any instant seen by one side or the other.
    fn begin(&self, options: &Arc<RunOptions>) -> bool {
        *self.lock() = Some(options.clone());
        !self.is_gone()
    }

    fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<RunOptions>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sessions of one worker: heads by model, backbones by what they hold, so that several heads share one.
#[derive(Default)]
pub(crate) struct Worker {
    backbones: HashMap<String, Session>,
    heads: HashMap<Arc<str>, Head>,
}

struct Head {
    session: Session,
    backbone: String,
    patch: u32,
    channels: usize,
}

impl Worker {
    /// Loads the graphs of `bundle`; the backbone only if no other bundle has brought it.
    pub fn load(
        &mut self,
        environment: &Environment,
        bundle: &Bundle,
        provider: Provider,
        threads: usize,
    ) -> Result<(), Error> {
        let manifest = bundle.manifest();
        let load = |path: PathBuf| {
            let wrong = |reason| Error::Load { model: manifest.id.clone(), path: path.clone(), reason };
            session::load(environment, &path, provider, threads).map_err(wrong)
        };
        let backbone = bundle.backbone_key();
        if !self.backbones.contains_key(&backbone) {
            self.backbones.insert(backbone.clone(), load(bundle.backbone())?);
        }
        let session = load(bundle.head())?;
        let head = Head { session, backbone, patch: manifest.backbone.patch, channels: manifest.channels };
        self.heads.insert(manifest.id.as_str().into(), head);
        Ok(())
    }

    /// Forgets a model, and its backbone if no other stands on it.
    pub fn unload(&mut self, model: &str) {
        self.heads.remove(model);
        self.backbones.retain(|key, _| self.heads.values().any(|head| head.backbone == *key));
    }

    /// Number of backbones in memory.
    pub fn backbones(&self) -> usize {
        self.backbones.len()
    }

    /// Works until the queue is closed.
    pub fn work(mut self, queue: &async_channel::Receiver<Job>) {
        while let Ok(Job { model, pixels, call, waiting, caller, reply }) = queue.recv_blocking() {
            let Waiting { since, span } = waiting;
            span.in_scope(|| tracing::debug!(ms = since.elapsed().as_secs_f64() * 1e3, "done"));
            drop(span);
            if call.is_gone() {
                continue;
            }
            let (queued, start) = (since.elapsed(), Instant::now());
            let features = tracing::info_span!(parent: &caller, "encode").in_scope(|| {
                let features = self.describe_or_say(&model, pixels, &call);
                let (ms, stopped) = (start.elapsed().as_secs_f64() * 1e3, call.is_gone());
                tracing::debug!(ms, stopped, "done");
                features
            });
            let result = features.map(|features| Described { features, queued, encoded: start.elapsed() });
            // The receiver may be gone by now: then nobody waits for the answer.
            let _ = reply.send(result);
        }
    }

    /// [`Worker::describe`]; a panic becomes an error, so that one image does not take the worker from all others.
    fn describe_or_say(&mut self, model: &str, pixels: Pixels, call: &Call) -> Result<FeatureMap<'static>, Error> {
        let work = AssertUnwindSafe(|| self.describe(model, pixels, call));
        std::panic::catch_unwind(work)
            .unwrap_or_else(|_| Err(Error::Run { model: model.into(), reason: "panic, see the log".into() }))
    }

    /// Runs one image through backbone and head.
    pub fn describe(&mut self, model: &str, pixels: Pixels, call: &Call) -> Result<FeatureMap<'static>, Error> {
        let wrong = |reason: String| Error::Run { model: model.into(), reason };
        let options = Arc::new(RunOptions::new().map_err(|error| wrong(error.to_string()))?);
        if !call.begin(&options) {
            return Err(Error::Stopped);
        }
        let result = self.run(model, pixels, &options);
        call.end();
        result.map_err(wrong)
    }

    fn run(&mut self, model: &str, pixels: Pixels, options: &RunOptions) -> Result<FeatureMap<'static>, String> {
        let head = self.heads.get_mut(model).ok_or("it is not loaded")?;
        let backbone = self.backbones.get_mut(&head.backbone).ok_or("its backbone is not loaded")?;
        let size = pixels.size();
        let grid = Grid::new((size.height / head.patch) as usize, (size.width / head.patch) as usize);
        let shape = [1usize, 3, size.height as usize, size.width as usize];
        let image = Tensor::from_array((shape, pixels.into_data())).map_err(|error| error.to_string())?;
        let tokens = session::backbone(backbone, image, options)?;
        let output = session::head(&mut head.session, tokens, [grid.height as i64, grid.width as i64], options)?;
        let (shape, data) = output.try_extract_tensor::<f32>().map_err(|error| error.to_string())?;
        let expected = [1, grid.height as i64, grid.width as i64, head.channels as i64];
        if **shape != expected {
            return Err(format!("its descriptors have the shape {shape:?} where {expected:?} was promised"));
        }
        FeatureMap::new(grid, head.channels, data.to_vec()).map_err(|error| error.to_string())
    }
}
