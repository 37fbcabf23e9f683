//! Worker threads. A session runs one thing at a time, so a thread owns it: each worker holds its own sessions of every
//! backbone and head, and takes images from the queue that all share.

use crate::{
    Described, Error, Provider,
    call::Call,
    queue::{Job, Queue},
    session,
};
use homolog_core::{bundle::Bundle, features::FeatureMap, geometry::Grid, image::Pixels};
use ort::{
    environment::Environment,
    session::{RunOptions, Session},
    value::{DynValue, TensorRef},
};
use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// Runs that came to their end, of all workers together.
#[derive(Default)]
pub(crate) struct Runs {
    pub backbones: AtomicU64,
    pub heads: AtomicU64,
}

/// The sessions of one worker: heads by model, backbones by what they hold, so that several heads share one.
pub(crate) struct Worker {
    backbones: HashMap<String, Session>,
    heads: HashMap<Arc<str>, Head>,
    runs: Arc<Runs>,
}

struct Head {
    session: Session,
    backbone: String,
    patch: u32,
    channels: usize,
}

impl Worker {
    /// A worker without sessions, which counts its runs into `runs`.
    pub fn new(runs: Arc<Runs>) -> Worker {
        Worker { backbones: HashMap::new(), heads: HashMap::new(), runs }
    }

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

    /// Works until the queue is closed and nobody waits.
    pub fn work(mut self, queue: &Queue) {
        let _working = queue.worker();
        while let Some(mut job) = queue.take() {
            let waiting = std::mem::replace(&mut job.waiting, tracing::Span::none());
            waiting.in_scope(|| tracing::debug!(ms = job.since.elapsed().as_secs_f64() * 1e3, "done"));
            drop(waiting);
            let (queued, start) = (job.since.elapsed(), Instant::now());
            let made = if job.call.is_gone() {
                Err(Error::Stopped)
            } else {
                tracing::info_span!(parent: &job.caller, "encode").in_scope(|| {
                    let made = self.describe_or_say(&job);
                    let (ms, stopped) = (start.elapsed().as_secs_f64() * 1e3, job.call.is_gone());
                    tracing::debug!(ms, stopped, "done");
                    made
                })
            };
            queue.ended(&job.call);
            let preempted = job.call.take_preempted();
            match made {
                Err(_) if job.call.is_gone() => {}
                // Whatever else went wrong goes wrong again.
                Err(_) if preempted => queue.again(job),
                made => {
                    let encoded = start.elapsed();
                    let described = |features| Described { features, queued, encoded };
                    // The receiver may be gone by now: then nobody waits for the answer.
                    let _ = job.reply.send(made.map(|maps| maps.into_iter().map(described).collect()));
                }
            }
        }
    }

    /// [`Worker::describe`]; a panic becomes an error, so that one image does not take the worker from all others.
    fn describe_or_say(&mut self, job: &Job) -> Result<Vec<FeatureMap<'static>>, Error> {
        let work = AssertUnwindSafe(|| self.describe(&job.models, &job.pixels, &job.call));
        std::panic::catch_unwind(work).unwrap_or_else(|_| Err(wrong(&job.models, "panic, see the log")))
    }

    /// Runs one image through the backbone that the models stand on, and its tokens through each of their heads.
    pub fn describe(
        &mut self,
        models: &[Arc<str>],
        pixels: &Pixels,
        call: &Call,
    ) -> Result<Vec<FeatureMap<'static>>, Error> {
        let options = Arc::new(RunOptions::new().map_err(|error| wrong(models, error))?);
        if !call.begin(&options) {
            call.end();
            return Err(Error::Stopped);
        }
        let result = self.run(models, pixels, &options);
        call.end();
        result
    }

    fn run(
        &mut self,
        models: &[Arc<str>],
        pixels: &Pixels,
        options: &RunOptions,
    ) -> Result<Vec<FeatureMap<'static>>, Error> {
        let tokens = self.run_backbone(models, pixels, options).map_err(|reason| wrong(models, reason))?;
        let mut one = |model: &Arc<str>| self.run_head(model, pixels, &tokens, options);
        models.iter().map(|model| one(model).map_err(|reason| wrong(std::slice::from_ref(model), reason))).collect()
    }

    fn run_backbone(&mut self, models: &[Arc<str>], pixels: &Pixels, options: &RunOptions) -> Result<DynValue, String> {
        let head = models.first().and_then(|model| self.heads.get(model)).ok_or("it is not loaded")?;
        let backbone = self.backbones.get_mut(&head.backbone).ok_or("its backbone is not loaded")?;
        let size = pixels.size();
        let shape = [1usize, 3, size.height as usize, size.width as usize];
        let image = TensorRef::from_array_view((shape, pixels.data())).map_err(|error| error.to_string())?;
        let tokens = session::backbone(backbone, image, options)?;
        self.runs.backbones.fetch_add(1, Ordering::Relaxed);
        Ok(tokens)
    }

    fn run_head(
        &mut self,
        model: &Arc<str>,
        pixels: &Pixels,
        tokens: &DynValue,
        options: &RunOptions,
    ) -> Result<FeatureMap<'static>, String> {
        let head = self.heads.get_mut(model).ok_or("it is not loaded")?;
        let size = pixels.size();
        let grid = Grid::new((size.height / head.patch) as usize, (size.width / head.patch) as usize);
        let output = session::head(&mut head.session, tokens, [grid.height as i64, grid.width as i64], options)?;
        self.runs.heads.fetch_add(1, Ordering::Relaxed);
        let (shape, data) = output.try_extract_tensor::<f32>().map_err(|error| error.to_string())?;
        let expected = [1, grid.height as i64, grid.width as i64, head.channels as i64];
        if **shape != expected {
            return Err(format!("its descriptors have the shape {shape:?} where {expected:?} was promised"));
        }
        FeatureMap::new(grid, head.channels, data.to_vec()).map_err(|error| error.to_string())
    }
}

fn wrong(models: &[Arc<str>], reason: impl ToString) -> Error {
    Error::Run { model: models.join(", "), reason: reason.to_string() }
}
