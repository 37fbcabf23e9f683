//! PCK of a network that is being trained, by the evaluation's own runner and matcher.

use super::describe::Describer;
use crate::verify::relative_error;
use homolog_adapt::{Error, Parameters, Validation};
use homolog_core::{geometry::Fit, matching};
use homolog_eval::{
    Dataset,
    dataset::Image,
    pck::{self, Average, Counts},
    result::PairResult,
    runner::{self, Cancel, EncodeError, Encoded, Encoder, Task},
};
use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
};

/// What the network takes of an image, `[1, …]` with its shape, and the fit that it was made under.
pub type Source = dyn Fn(&Image) -> Result<(Vec<usize>, Vec<f32>, Fit), String> + Send + Sync;

/// How an image is fitted to the network's canvas.
pub type Fitted = dyn Fn(&Image) -> Option<Fit> + Send + Sync;

/// Pairs that are not trained on, and what reads their images.
pub struct Validator {
    dataset: Dataset,
    describer: Mutex<Describer>,
    source: Box<Source>,
    channels: usize,
    fit: Box<Fitted>,
    matching: matching::Settings,
}

impl Validator {
    /// A validator over the pairs of `dataset`; descriptors have `channels` channels.
    pub fn new(
        dataset: Dataset,
        describer: Describer,
        channels: usize,
        matching: matching::Settings,
        fit: impl Fn(&Image) -> Option<Fit> + Send + Sync + 'static,
        source: impl Fn(&Image) -> Result<(Vec<usize>, Vec<f32>, Fit), String> + Send + Sync + 'static,
    ) -> Validator {
        let (describer, source, fit) = (Mutex::new(describer), Box::new(source), Box::new(fit));
        Validator { dataset, describer, source, channels, fit, matching }
    }

    /// PCK with these parameters.
    ///
    /// # Errors
    /// [`Error::Compute`] with what the runner says.
    pub fn validate(&self, parameters: &Parameters) -> Result<Validation, Error> {
        let pairs: Vec<usize> = (0..self.dataset.pairs.len()).collect();
        let tasks = [Task { model: 0, matching: self.matching.clone() }];
        let mut results: Vec<PairResult> = Vec::with_capacity(pairs.len());
        let mut failure = None;
        let encoder = Encoding { validator: self, parameters };
        let run =
            runner::run(&self.dataset, &pairs, &tasks, &encoder, &Default::default(), &Cancel::default(), |done| {
                for result in done.results {
                    match result {
                        Ok(result) => results.push(result),
                        Err(error) => failure = Some(error),
                    }
                }
                ControlFlow::Continue(())
            });
        run.map_err(|error| Error::Compute(error.into()))?;
        if let Some(failure) = failure {
            return Err(Error::Compute(failure.reason.into()));
        }
        let settings = pck::Settings { threshold: self.dataset.threshold, bootstrap: None, ..pck::Settings::default() };
        let counts = Counts::of(&results, &settings, |_| true).map_err(|error| Error::Compute(error.into()))?;
        let scores = pck::score(&counts, &settings.alphas, None);
        let of = |average| {
            let at = |alpha: &f64| Some((*alpha, scores.get(average, *alpha)?.value));
            settings.alphas.iter().filter_map(at).collect()
        };
        Ok(Validation { per_image: of(Average::PerImage), per_point: of(Average::PerPoint) })
    }
}

impl Validator {
    /// The largest relative difference between these parameters' descriptors and those that `describe` gives, over the first few
    /// images.
    ///
    /// # Errors
    /// Whatever reading the images and running meet.
    pub fn disagreement(
        &self,
        parameters: &Parameters,
        mut describe: impl FnMut(&Image) -> Result<Vec<f32>, crate::Error>,
    ) -> Result<f64, crate::Error> {
        let mut worst = 0.0f64;
        for image in self.dataset.images.iter().take(COMPARED) {
            let (shape, data, fit) = (self.source)(image).map_err(crate::Error::Failed)?;
            let mut describer = self.describer.lock().unwrap_or_else(PoisonError::into_inner);
            let trained = describer.run(parameters, &shape, &data, fit.grid())?;
            worst = worst.max(relative_error(&describe(image)?, trained.data())?);
        }
        Ok(worst)
    }
}

/// Images that a bundle is compared on.
const COMPARED: usize = 4;

struct Encoding<'v> {
    validator: &'v Validator,
    parameters: &'v Parameters,
}

impl Encoder for Encoding<'_> {
    fn models(&self) -> usize {
        1
    }

    fn bytes(&self, image: &Image, _: &[usize]) -> u64 {
        let tokens = (self.validator.fit)(image).map_or(0, |fit| fit.grid().len());
        (tokens * self.validator.channels * size_of::<f32>()) as u64
    }

    fn encode(&self, image: &Image, _: &[usize], _: &Cancel) -> Result<Vec<Encoded>, EncodeError> {
        let (shape, data, fit) = (self.validator.source)(image).map_err(EncodeError::Image)?;
        let mut describer = self.validator.describer.lock().unwrap_or_else(PoisonError::into_inner);
        let features = describer.run(self.parameters, &shape, &data, fit.grid());
        let features = features.map_err(|error| EncodeError::Fatal(error.into()))?;
        Ok(vec![Encoded { features: Arc::new(features), fit }])
    }
}
