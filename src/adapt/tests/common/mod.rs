//! A problem that can be solved by hand, in place of a network.

#![allow(dead_code, reason = "each test file uses a part")]

use homolog_adapt::{
    Batch, Batches, Error, Folder, Gradients, Objective, Outcome, Parameter, Parameters, Schedule, Training, Validation,
};
use homolog_core::geometry::Grid;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::{path::Path, sync::atomic::AtomicBool};

/// As many numbers as three tensors have in all.
pub const SIZE: usize = 40;

/// Half the squared distance to `target`, with noise from the batch and from what is dropped out.
pub struct Quadratic {
    pub target: f32,
    /// PCK of the validations to come; where it has ended, it is 1 / (1 + distance).
    pub pcks: Vec<f64>,
    /// Called before each batch is computed, with how many were.
    pub before: Box<dyn FnMut(u64) -> Result<(), Error>>,
    /// Batches computed.
    pub computed: u64,
}

impl Quadratic {
    pub fn new() -> Quadratic {
        Quadratic { target: 1.0, pcks: Vec::new(), before: Box::new(|_| Ok(())), computed: 0 }
    }
}

impl Objective for Quadratic {
    fn gradients(&mut self, parameters: &Parameters, batch: &Batch, seed: u64) -> Result<Gradients, Error> {
        (self.before)(self.computed)?;
        self.computed += 1;
        let mut noise = ChaCha8Rng::seed_from_u64(seed);
        let mut inputs = batch.inputs.iter();
        let mut loss = 0.0;
        let gradients = parameters.iter().map(|parameter| {
            let one = |value: &f32| {
                let distance = value - self.target;
                loss += 0.5 * f64::from(distance).powi(2);
                distance + 0.01 * (unit(&mut noise) + inputs.next().unwrap())
            };
            parameter.data.iter().map(one).collect()
        });
        let gradients = gradients.collect();
        Ok(Gradients { loss, parts: vec![("distance", loss)], gradients })
    }

    fn validate(&mut self, parameters: &Parameters) -> Result<Validation, Error> {
        let distances = parameters.iter().flat_map(|parameter| &parameter.data).map(|value| value - self.target);
        let distance = f64::from(distances.map(|distance| distance * distance).sum::<f32>());
        let pck = if self.pcks.is_empty() { 1.0 / (1.0 + distance) } else { self.pcks.remove(0) };
        Ok(Validation { per_image: vec![(0.05, pck / 2.0), (0.1, pck)], per_point: vec![(0.1, pck)] })
    }
}

/// Two micro-batches a step, whose inputs are noise of the step.
pub struct Noise {
    pub steps_per_epoch: u64,
}

impl Batches for Noise {
    fn steps_per_epoch(&self) -> u64 {
        self.steps_per_epoch
    }

    fn batch(&self, step: u64) -> Result<Vec<Batch>, Error> {
        let mut noise = ChaCha8Rng::seed_from_u64(1000 + step);
        let mut one = || Batch {
            images: 1,
            inputs: (0..SIZE).map(|_| unit(&mut noise)).collect(),
            grid: Grid { height: 1, width: 1 },
            pairs: Vec::new(),
            classes: Vec::new(),
        };
        Ok(vec![one(), one()])
    }
}

/// Between −0.5 and 0.5.
fn unit(random: &mut ChaCha8Rng) -> f32 {
    random.next_u32() as f32 / u32::MAX as f32 - 0.5
}

/// Zeros.
pub fn parameters() -> Parameters {
    let parameter = |name: &str, shape: &[usize]| Parameter {
        name: name.into(),
        shape: shape.to_vec(),
        data: vec![0.0; shape.iter().product()],
        decay: shape.len() > 1,
    };
    let shapes: [(&str, &[usize]); 3] = [("blocks.1.weight", &[4, 8]), ("blocks.1.bias", &[4]), ("norm", &[2, 2])];
    Parameters::new(shapes.map(|(name, shape)| parameter(name, shape)).to_vec())
}

/// A hundred steps, ten to the epoch.
pub fn training() -> Training {
    Training {
        epochs: 10,
        learning_rate: 0.1,
        weight_decay: 0.0,
        warmup: 5,
        clip_norm: 1.0,
        checkpoint_every: 7,
        schedule: Schedule::Cosine { floor: 0.0 },
        ..Training::default()
    }
}

/// Fits zeros in a folder, and gives what they have become.
pub fn fit(
    path: &Path,
    training: &Training,
    objective: &mut Quadratic,
    resume: bool,
) -> Result<(Outcome, Parameters), Error> {
    fit_until(path, training, objective, resume, &AtomicBool::new(false))
}

/// The same until it is cancelled.
pub fn fit_until(
    path: &Path,
    training: &Training,
    objective: &mut Quadratic,
    resume: bool,
    cancel: &AtomicBool,
) -> Result<(Outcome, Parameters), Error> {
    let folder = Folder::open(path, training)?;
    let mut parameters = parameters();
    let batches = Noise { steps_per_epoch: 10 };
    let outcome = homolog_adapt::fit(objective, &batches, &mut parameters, training, &folder, cancel, resume)?;
    Ok((outcome, parameters))
}

/// The files whose bytes depend on the run alone.
pub const FILES: [&str; 6] = [
    "config.toml",
    "metrics.jsonl",
    "checkpoints/last.safetensors",
    "checkpoints/best.safetensors",
    "loss.svg",
    "pck.svg",
];

/// That two folders hold the same run, to the byte.
pub fn assert_same_run(one: &Path, other: &Path) {
    for file in FILES {
        let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(read(one) == read(other), "{file} differs");
    }
    // events hold the time of day, and nothing else that differs
    let length = |folder: &Path| folder.join("events.out.tfevents.homolog").metadata().unwrap().len();
    assert_eq!(length(one), length(other));
}
