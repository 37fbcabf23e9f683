//! Worker threads. A session runs one thing at a time, so a thread owns it: each worker holds its own sessions of every
//! backbone and head, and takes images from the queue that all share.

use crate::{
    Described, Error,
    call::{Call, Run},
    costs::Costs,
    plan::Plan,
    queue::{Job, Queue},
    session,
};
use homolog_core::{bundle::Bundle, features::FeatureMap, geometry::Grid, image::Pixels};
use ort::{
    environment::Environment,
    session::{RunOptions, Session},
    value::DynValue,
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
use tracing::Span;

/// What all workers together have run and run.
#[derive(Default)]
pub(crate) struct Runs {
    /// Runs of backbones that came to their end.
    pub backbones: AtomicU64,
    /// Runs of heads that came to their end.
    pub heads: AtomicU64,
    /// Batches that are run at the moment.
    pub running: AtomicU64,
    /// What images took lately.
    pub costs: Costs,
}

/// Descriptors of one image by several models.
type Maps = Vec<FeatureMap<'static>>;

/// The sessions of one worker: heads by model, backbones by what they hold, so that several heads share one.
pub(crate) struct Worker {
    backbones: HashMap<String, Session>,
    heads: HashMap<Arc<str>, Head>,
    plan: Arc<Plan>,
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
    pub fn new(plan: Arc<Plan>, runs: Arc<Runs>) -> Worker {
        Worker { backbones: HashMap::new(), heads: HashMap::new(), plan, runs }
    }

    /// Loads the graphs of `bundle`; the backbone only if no other bundle has brought it.
    pub fn load(&mut self, environment: &Environment, bundle: &Bundle) -> Result<(), Error> {
        let manifest = bundle.manifest();
        let plan = self.plan.clone();
        let load = |path: PathBuf| {
            let wrong = |reason| Error::Load { model: manifest.id.clone(), path: path.clone(), reason };
            session::load(environment, &path, &plan).map_err(wrong)
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
        while let Some(mut jobs) = queue.take(self.plan.most_batch) {
            for job in &mut jobs {
                let waiting = std::mem::replace(&mut job.waiting, tracing::Span::none());
                waiting.in_scope(|| tracing::debug!(ms = job.since.elapsed().as_secs_f64() * 1e3, "done"));
            }
            if let Some(jobs) = self.serve(jobs, queue) {
                // one of them spoils it for the others, or they are too many for the memory
                if jobs.iter().any(|job| job.background) {
                    // in the line, where requests go before each of them
                    queue.apart(jobs);
                } else {
                    jobs.into_iter().for_each(|job| drop(self.serve(vec![job], queue)));
                }
            }
        }
    }

    /// Runs these images together and answers; gives several back whose run failed.
    fn serve(&mut self, jobs: Vec<Job>, queue: &Queue) -> Option<Vec<Job>> {
        let (start, batch) = (Instant::now(), jobs.len());
        let spans: Vec<Span> =
            jobs.iter().map(|job| tracing::info_span!(parent: &job.caller, "encode", batch)).collect();
        let made = spans.first()?.in_scope(|| self.describe_or_say(&jobs));
        let encoded = start.elapsed();
        for (job, span) in jobs.iter().zip(spans) {
            let (ms, stopped) = (encoded.as_secs_f64() * 1e3, job.call.is_gone());
            span.in_scope(|| tracing::debug!(ms, stopped, "done"));
        }
        queue.ended(&jobs);
        // stopped for others: all of them, whichever was told
        let mut preempted = false;
        for job in &jobs {
            preempted |= job.call.take_preempted();
        }
        match made {
            Ok(maps) => {
                if let Some(job) = jobs.first()
                    && let [model] = &job.models[..]
                {
                    self.runs.costs.took(model, job.pixels.size(), encoded, batch);
                }
                for (job, maps) in jobs.into_iter().zip(maps) {
                    let queued = start - job.since;
                    let described = |features| Described { features, queued, encoded, batch };
                    answer(job, Ok(maps.into_iter().map(described).collect()));
                }
            }
            // whatever else went wrong goes wrong again
            Err(_) if preempted => jobs.into_iter().rev().for_each(|job| queue.again(job)),
            Err(_) if batch > 1 && jobs.iter().any(|job| !job.call.is_gone()) => return Some(jobs),
            Err(error) => jobs.into_iter().for_each(|job| answer(job, Err(error.clone()))),
        }
        None
    }

    /// [`Worker::describe`]; a panic becomes an error, so that one image does not take the worker from all others.
    fn describe_or_say(&mut self, jobs: &[Job]) -> Result<Vec<Maps>, Error> {
        let Some(first) = jobs.first() else { return Ok(Vec::new()) };
        let images: Vec<&Pixels> = jobs.iter().map(|job| &*job.pixels).collect();
        let calls = jobs.iter().map(|job| job.call.clone()).collect();
        self.runs.running.fetch_add(1, Ordering::Relaxed);
        let work = AssertUnwindSafe(|| self.describe(&first.models, &images, calls));
        let made = std::panic::catch_unwind(work).unwrap_or_else(|_| Err(wrong(&first.models, "panic, see the log")));
        self.runs.running.fetch_sub(1, Ordering::Relaxed);
        made
    }

    /// Runs images of one size through the backbone that the models stand on, and their tokens through each of the heads; for each
    /// image what the models make of it.
    pub fn describe(
        &mut self,
        models: &[Arc<str>],
        images: &[&Pixels],
        calls: Vec<Arc<Call>>,
    ) -> Result<Vec<Maps>, Error> {
        let options = RunOptions::new().map_err(|error| wrong(models, error))?;
        let run = Run::begin(options, calls).ok_or(Error::Stopped)?;
        self.run(models, images, run.options())
    }

    fn run(&mut self, models: &[Arc<str>], images: &[&Pixels], options: &RunOptions) -> Result<Vec<Maps>, Error> {
        let tokens = self.run_backbone(models, images, options).map_err(|reason| wrong(models, reason))?;
        let mut described: Vec<Maps> = images.iter().map(|_| Vec::with_capacity(models.len())).collect();
        for model in models {
            let maps = self.run_head(model, images, &tokens, options);
            let maps = maps.map_err(|reason| wrong(std::slice::from_ref(model), reason))?;
            described.iter_mut().zip(maps).for_each(|(image, map)| image.push(map));
        }
        Ok(described)
    }

    fn run_backbone(
        &mut self,
        models: &[Arc<str>],
        images: &[&Pixels],
        options: &RunOptions,
    ) -> Result<DynValue, String> {
        let head = models.first().and_then(|model| self.heads.get(model)).ok_or("it is not loaded")?;
        let backbone = self.backbones.get_mut(&head.backbone).ok_or("its backbone is not loaded")?;
        let image = session::image(backbone, images, self.plan.pixels)?;
        let tokens = session::backbone(backbone, image, self.plan.tokens, options)?;
        self.runs.backbones.fetch_add(1, Ordering::Relaxed);
        Ok(tokens)
    }

    fn run_head(
        &mut self,
        model: &Arc<str>,
        images: &[&Pixels],
        tokens: &DynValue,
        options: &RunOptions,
    ) -> Result<Maps, String> {
        let head = self.heads.get_mut(model).ok_or("it is not loaded")?;
        let size = images.first().ok_or("there is no image")?.size();
        let grid = Grid::new((size.height / head.patch) as usize, (size.width / head.patch) as usize);
        let axes = [grid.height as i64, grid.width as i64];
        let output = session::head(&mut head.session, tokens, axes, self.plan.descriptors, options)?;
        self.runs.heads.fetch_add(1, Ordering::Relaxed);
        let (shape, data) = output.try_extract_tensor::<f32>().map_err(|error| error.to_string())?;
        let expected = [images.len() as i64, axes[0], axes[1], head.channels as i64];
        if **shape != expected {
            return Err(format!("its descriptors have the shape {shape:?} where {expected:?} was promised"));
        }
        let maps = data.chunks_exact(grid.len() * head.channels);
        maps.map(|map| FeatureMap::new(grid, head.channels, map.to_vec()).map_err(|error| error.to_string())).collect()
    }
}

/// The receiver may be gone by now: then nobody waits for the answer.
fn answer(job: Job, answer: Result<Vec<Described>, Error>) {
    let _ = job.reply.send(answer);
}

fn wrong(models: &[Arc<str>], reason: impl ToString) -> Error {
    Error::Run { model: models.join(", "), reason: reason.to_string() }
}
