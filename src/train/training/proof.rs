//! What a trained bundle must show before it is put in its place.

use super::validate::Validator;
use crate::Error;
use homolog_adapt::{Parameters, Validation};
use homolog_backbone::export::Draft;
use homolog_core::{
    bundle::{Bundle, Measurement, Precision, Preparation},
    image::{DecodeLimits, Photo},
};
use homolog_engine::{Engine, EngineConfig, ProviderChoice};
use homolog_eval::dataset::Image;
use std::path::Path;

/// Largest relative error between a bundle's descriptors and the training graph's.
fn most(precision: Precision) -> f64 {
    match precision {
        Precision::Fp32 => 1e-4,
        // Weights were rounded to half precision on their way into the file.
        Precision::Fp16Storage | Precision::Fp16 | Precision::Int8 => 1e-2,
    }
}

/// Runs an unfinished bundle on images of the validation and returns the largest relative difference between its descriptors and
/// those of the training graph with `parameters`.
///
/// # Errors
/// [`Error::Failed`] when they differ by more than rounding does; whatever loading and running meet.
pub fn agreement(
    draft: &Draft,
    preparation: &Preparation,
    validator: &Validator,
    parameters: &Parameters,
) -> Result<f64, Error> {
    let bundle = Described::open(&draft.folder())?;
    let error = validator.disagreement(parameters, |image| bundle.of(image, preparation))?;
    let most = most(draft.manifest().precision);
    if error.is_finite() && error <= most {
        return Ok(error);
    }
    Err(Error::Failed(format!(
        "the bundle's descriptors differ from those of the training graph by {error:.1e} relative, more than {most:.0e}: it was not \
         written"
    )))
}

/// A validation as a manifest tells it.
pub fn measurements(dataset: &str, validation: &Validation) -> Vec<Measurement> {
    let of = |average: &str, values: &[(f64, f64)]| -> Vec<Measurement> {
        let one = |(alpha, value): &(f64, f64)| Measurement {
            dataset: dataset.into(),
            metric: format!("{average} PCK@{alpha:.2}"),
            value: *value,
            command: format!("homolog eval --dataset {dataset} --data DIR"),
        };
        values.iter().map(one).collect()
    };
    [of("per-image", &validation.per_image), of("per-point", &validation.per_point)].concat()
}

/// A bundle that is run.
struct Described {
    engine: Engine,
    runtime: tokio::runtime::Runtime,
}

impl Described {
    fn open(folder: &Path) -> Result<Described, Error> {
        let config =
            EngineConfig { provider: ProviderChoice::Cpu, workers: 1, threads: 0, queue: 1, ..EngineConfig::default() };
        let engine = Engine::start(&config, vec![Bundle::open(folder)?])?;
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        Ok(Described { engine, runtime: runtime.map_err(|error| Error::Failed(error.to_string()))? })
    }

    fn of(&self, image: &Image, preparation: &Preparation) -> Result<Vec<f32>, Error> {
        let bytes = std::fs::read(&image.path).map_err(Error::file(&image.path))?;
        let photo = Photo::decode(&bytes, &DecodeLimits::default())?;
        let (pixels, _) = preparation.prepare(&photo)?;
        let model = self.engine.models().next().ok_or_else(|| Error::Failed("the bundle has no model".into()))?;
        Ok(self.runtime.block_on(self.engine.describe(model, pixels))?.data().to_vec())
    }
}
