//! The loop.

mod prefetch;

use crate::{
    AdamW, Batch, Batches, Best, Error, Folder, Gradients, Objective, Parameters, Position, Training, optimiser,
    run::{Checkpoint, Events, Metrics, Progress, Record, State, checkpoint, draw},
};
use prefetch::ahead;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Why.
    pub ended: Ended,
    /// Steps done.
    pub step: u64,
    /// The validation whose parameters are in [`Folder::best`].
    pub best: Option<Best>,
    /// Seconds that it took, those before a kill included as far as a checkpoint was written.
    pub seconds: f64,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It has done its steps.
    Finished,
    /// PCK got no better for as many validations as the patience allows.
    Stopped,
    /// It was told to end, and can go on.
    Cancelled,
}

/// Trains `parameters` and leaves those of the last step in them; the best ones are in [`Folder::best`].
///
/// The result depends on the arguments alone, to the bit: a run that was killed at any instant, or cancelled, goes on with `resume` to
/// the same parameters, checkpoints and metrics. Without a checkpoint `resume` begins at the first step. `folder` must have been opened
/// with all that decides the batches, the objective and the parameters, since that is what tells one run from another.
///
/// # Errors
/// [`Error::Setting`], [`Error::Exists`] for a folder with a run that was not to go on, [`Error::Checkpoint`], [`Error::NotFinite`],
/// and whatever the disk, the batches or the objective meet. What was in the last checkpoint is kept.
pub fn fit(
    objective: &mut dyn Objective,
    batches: &dyn Batches,
    parameters: &mut Parameters,
    training: &Training,
    folder: &Folder,
    cancel: &AtomicBool,
    resume: bool,
) -> Result<Outcome, Error> {
    training.check()?;
    let mut run = Run::open(batches, parameters, training, folder, resume)?;
    let ended = ahead(batches, run.state.step..run.steps, |ahead| {
        loop {
            let ended = match () {
                () if run.state.step >= run.steps => Ended::Finished,
                () if training.patience > 0 && run.state.stale >= training.patience => Ended::Stopped,
                () if cancel.load(Ordering::Relaxed) || !run.step(objective, parameters, &ahead.next()?, cancel)? => {
                    Ended::Cancelled
                }
                () => continue,
            };
            return Ok(ended);
        }
    })?;
    run.save(parameters)?;
    Ok(Outcome { ended, step: run.state.step, best: run.state.best, seconds: run.seconds() })
}

struct Run<'a> {
    training: &'a Training,
    folder: &'a Folder,
    steps: u64,
    state: State,
    optimiser: AdamW,
    metrics: Metrics,
    events: Events,
    progress: Progress,
    began: Instant,
    seconds_before: f64,
}

impl<'a> Run<'a> {
    fn open(
        batches: &dyn Batches,
        parameters: &mut Parameters,
        training: &'a Training,
        folder: &'a Folder,
        resume: bool,
    ) -> Result<Run<'a>, Error> {
        let steps_per_epoch = batches.steps_per_epoch().max(1);
        let mut state = State { step: 0, steps_per_epoch, best: None, stale: 0, config: folder.digest().to_owned() };
        let mut optimiser = AdamW::new(parameters, training.betas, training.eps, training.weight_decay);
        let mut seconds_before = 0.0;
        if folder.last().exists() {
            if !resume {
                return Err(Error::Exists { path: folder.path().into() });
            }
            let checkpoint = Checkpoint::read(&folder.last())?;
            let reject = |reason| Err(Error::Checkpoint { path: folder.last(), reason });
            if checkpoint.state.config != state.config {
                return reject("a checkpoint of a run with other settings".into());
            }
            if checkpoint.state.steps_per_epoch != steps_per_epoch {
                let theirs = checkpoint.state.steps_per_epoch;
                return reject(format!("its epochs had {theirs} steps, now they have {steps_per_epoch}: other pairs"));
            }
            checkpoint.restore(parameters)?;
            checkpoint.restore_moments(&mut optimiser, parameters)?;
            state = checkpoint.state;
            seconds_before = folder.seconds();
        }
        let steps = training.steps(steps_per_epoch);
        Ok(Run {
            training,
            folder,
            steps,
            optimiser,
            metrics: Metrics::open(&folder.metrics(), state.step)?,
            events: Events::open(&folder.events(), state.step)?,
            progress: Progress::new(state.step, steps, steps_per_epoch, state.best.map(|best| best.pck)),
            began: Instant::now(),
            seconds_before,
            state,
        })
    }

    /// One step, and what is due after it; false where it was cancelled before anything had changed.
    fn step(
        &mut self,
        objective: &mut dyn Objective,
        parameters: &mut Parameters,
        batches: &[Batch],
        cancel: &AtomicBool,
    ) -> Result<bool, Error> {
        let Some(mut mean) = self.gradients(objective, parameters, batches, cancel)? else { return Ok(false) };
        let step = self.state.step;
        let at = Position {
            step,
            steps: self.steps,
            steps_per_epoch: self.state.steps_per_epoch,
            warmup: self.training.warmup,
        };
        let learning_rate = self.training.learning_rate * self.training.schedule.share(at);
        let gradient_norm = match self.training.clip_norm {
            0.0 => optimiser::norm(&mean.gradients),
            most => optimiser::clip(&mut mean.gradients, most),
        };
        let parts = mean.parts.iter().map(|(_, part)| *part);
        if !parts.chain([mean.loss, gradient_norm]).all(f64::is_finite) {
            return Err(Error::NotFinite { step, what: what(&mean, parameters) });
        }
        self.optimiser.step(parameters, &mean.gradients, learning_rate);
        self.state.step += 1;
        let (step, epoch) = self.now();
        let parts = mean.parts.iter().map(|(name, part)| ((*name).to_owned(), *part)).collect();
        self.record(Record::Step { step, epoch, loss: mean.loss, parts, learning_rate, gradient_norm })?;
        self.progress.step(step, mean.loss, learning_rate);
        let every = match self.training.validate_every {
            0 => self.state.steps_per_epoch,
            every => every,
        };
        if step % every == 0 || step == self.steps {
            self.validate(objective, parameters)?;
        }
        if step % self.training.checkpoint_every == 0 {
            self.save(parameters)?;
        }
        Ok(true)
    }

    /// The mean over the micro-batches; none where the run was cancelled.
    fn gradients(
        &self,
        objective: &mut dyn Objective,
        parameters: &Parameters,
        batches: &[Batch],
        cancel: &AtomicBool,
    ) -> Result<Option<Gradients>, Error> {
        let step = self.state.step;
        let mut sum: Option<(Gradients, BTreeMap<&'static str, f64>)> = None;
        for (index, batch) in batches.iter().enumerate() {
            if cancel.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let one = objective.gradients(parameters, batch, dropout_seed(self.training.seed, step, index as u64))?;
            fits(&one, parameters)?;
            match &mut sum {
                None => {
                    let parts = one.parts.iter().copied().collect();
                    sum = Some((one, parts));
                }
                Some((sum, parts)) => {
                    sum.loss += one.loss;
                    one.parts.iter().for_each(|(name, part)| *parts.entry(name).or_default() += part);
                    optimiser::add(&mut sum.gradients, &one.gradients);
                }
            }
        }
        let (mut sum, parts) = sum.ok_or_else(|| Error::Compute(format!("step {step} has no batch").into()))?;
        let share = 1.0 / batches.len() as f64;
        sum.loss *= share;
        sum.parts = parts.into_iter().map(|(name, part)| (name, part * share)).collect();
        if batches.len() > 1 {
            optimiser::scale(&mut sum.gradients, share as f32);
        }
        Ok(Some(sum))
    }

    fn validate(&mut self, objective: &mut dyn Objective, parameters: &Parameters) -> Result<(), Error> {
        let validation = objective.validate(parameters)?;
        let alpha = self.training.alpha;
        let at = validation.per_image.iter().find(|(measured, _)| (measured - alpha).abs() < 1e-9);
        let Some(&(_, pck)) = at else {
            let measured: Vec<_> = validation.per_image.iter().map(|(measured, _)| measured).collect();
            return Err(Error::Setting {
                field: "alpha",
                reason: format!("{alpha} is not measured: {measured:?} are"),
            });
        };
        let (step, epoch) = self.now();
        if !validation.per_image.iter().chain(&validation.per_point).all(|(_, pck)| pck.is_finite()) {
            return Err(Error::NotFinite { step, what: "PCK".into() });
        }
        let best = self.state.best.is_none_or(|best| pck > best.pck);
        if best {
            (self.state.best, self.state.stale) = (Some(Best { step, pck }), 0);
            all_finite(step, parameters)?;
            checkpoint::write(&self.folder.best(), &self.state, parameters, None)?;
        } else {
            self.state.stale += 1;
        }
        let (per_image, per_point) = (validation.per_image, validation.per_point);
        self.record(Record::Validation { step, epoch, per_image, per_point, best })?;
        self.progress.validation(step, pck, best);
        draw(self.folder, &self.metrics.records)
    }

    fn record(&mut self, record: Record) -> Result<(), Error> {
        self.events.append(&record)?;
        self.metrics.append(record)
    }

    /// Steps done, and the same in epochs.
    fn now(&self) -> (u64, f64) {
        (self.state.step, self.state.step as f64 / self.state.steps_per_epoch as f64)
    }

    fn save(&self, parameters: &Parameters) -> Result<(), Error> {
        all_finite(self.state.step, parameters)?;
        // what the checkpoint says was done must be on the disk before it
        self.metrics.sync()?;
        checkpoint::write(&self.folder.last(), &self.state, parameters, Some(&self.optimiser))?;
        self.folder.keep_seconds(self.seconds())
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.began.elapsed().as_secs_f64()
    }
}

/// What decides what is dropped out of a micro-batch: the run's seed, the step and the micro-batch, and nothing before them.
fn dropout_seed(seed: u64, step: u64, micro_batch: u64) -> u64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(step);
    random.set_word_pos(2 * u128::from(micro_batch));
    random.next_u64()
}

fn fits(gradients: &Gradients, parameters: &Parameters) -> Result<(), Error> {
    let lengths = gradients.gradients.iter().map(Vec::len).chain(std::iter::repeat(0));
    match parameters.iter().zip(lengths).find(|(parameter, length)| parameter.data.len() != *length) {
        None => Ok(()),
        Some((parameter, found)) => {
            Err(Error::Gradient { name: parameter.name.clone(), expected: parameter.data.len(), found })
        }
    }
}

fn all_finite(step: u64, parameters: &Parameters) -> Result<(), Error> {
    match parameters.iter().find(|parameter| !parameter.data.iter().all(|value| value.is_finite())) {
        None => Ok(()),
        Some(parameter) => Err(Error::NotFinite { step, what: parameter.name.clone() }),
    }
}

/// The first that is not finite.
fn what(mean: &Gradients, parameters: &Parameters) -> String {
    if !mean.loss.is_finite() {
        return "the loss".into();
    }
    if let Some((name, _)) = mean.parts.iter().find(|(_, part)| !part.is_finite()) {
        return format!("the loss {name}");
    }
    let named = parameters.iter().zip(&mean.gradients);
    let bad = named.into_iter().find(|(_, gradient)| !gradient.iter().all(|value| value.is_finite()));
    bad.map_or("the norm of the gradients".into(), |(parameter, _)| format!("the gradient of {}", parameter.name))
}
