//! An adapted network as a bundle, which is not finished unless it gives what was trained.

use super::{AdaptArgs, Method, Settings};
use crate::{Error, training::objective::Network as Objective};
use homolog_adapt::{Parameters, Validation};
use homolog_backbone::{
    Adapter, Weights,
    catalog::Network,
    checkpoint::{Checkpoint, Tensor},
    export::{Draft, Options},
};
use homolog_core::{
    bundle::{Bundle, Manifest, Measurement, Precision, Preparation, Provenance},
    image::{DecodeLimits, Photo},
};
use homolog_engine::{Engine, EngineConfig, ProviderChoice};
use homolog_eval::dataset::Image;
use std::{collections::BTreeMap, path::Path};

/// A run at its end.
pub struct Finished<'a, 'w> {
    /// The bundle that was adapted.
    pub base: &'a Bundle,
    /// Its network.
    pub network: &'a Network,
    /// Its weights before.
    pub weights: Weights<'w>,
    /// What was trained.
    pub method: &'a Method,
    /// How.
    pub settings: &'a Settings,
    /// What was trained over the descriptors.
    pub adapter: Option<&'a Adapter>,
    /// The best parameters.
    pub parameters: &'a Parameters,
    /// What they were trained with.
    pub objective: &'a Objective,
    /// Whether blocks of the shared backbone were trained.
    pub reaches_backbone: bool,
}

/// Largest relative error between the bundle's descriptors and the training graph's.
fn agreement(precision: Precision) -> f64 {
    match precision {
        Precision::Fp32 => 1e-4,
        // Weights were rounded to half precision on their way into the file.
        Precision::Fp16Storage | Precision::Fp16 | Precision::Int8 => 1e-2,
    }
}

impl Finished<'_, '_> {
    /// Writes the bundle, runs it, compares it and measures it.
    ///
    /// # Errors
    /// [`Error::Failed`] when its descriptors are not those of the training graph; whatever writing and running meet. Nothing is
    /// left at the bundle's place then.
    pub fn export(self, arguments: &AdaptArgs) -> Result<Manifest, Error> {
        let tensors: BTreeMap<String, Tensor> = self
            .parameters
            .iter()
            .map(|one| (one.name.clone(), Tensor { shape: one.shape.clone(), data: one.data.clone() }))
            .collect();
        let mut weights = self.weights;
        let trained: BTreeMap<String, Tensor> = tensors
            .iter()
            .filter(|(name, _)| weights.has(name))
            .map(|(name, tensor)| (name.clone(), tensor.clone()))
            .collect();
        if let Some(lora) = self.method.trained(&weights, self.base.manifest())?.trained.lora {
            let merged = lora.merged(&weights, &tensors)?;
            weights = weights.with(merged)?;
        }
        weights = weights.with(trained)?;
        let checkpoint = Checkpoint::from_tensors(weights.checkpoint()?);
        let adapter = self.adapter.map(|adapter| adapter.with(&tensors)).transpose()?;

        let base = self.base.manifest();
        let validation = self.objective.validator.validate(self.parameters)?;
        let options = Options {
            split: Some(base.split),
            feature: base.feature,
            precision: base.precision,
            fit: base.fit,
            resolutions: base.resolutions.clone(),
            default_resolution: Some(base.default_resolution),
            description: format!(
                "{} Adapted on {}: {}.",
                base.description,
                self.settings.train,
                described(self.method)
            ),
            provenance: Provenance {
                dataset: Some(format_of(&self.settings.train).into()),
                recipe: toml::to_string(&self.settings.training).ok(),
                seed: Some(self.settings.training.seed),
                made_by: format!("homolog-train {}", env!("CARGO_PKG_VERSION")),
                ..base.provenance.clone()
            },
            adapter,
        };
        let mut draft = Draft::write(self.network, &checkpoint, &arguments.out, &options, |_| {})?;
        if !self.reaches_backbone {
            draft.share_backbone(&arguments.model, base)?;
        }
        let error = {
            let preparation = base.preparation(self.settings.data.resolution);
            let bundle = describer(&draft.folder())?;
            self.objective.validator.disagreement(self.parameters, |image| bundle.of(image, &preparation))?
        };
        let most = agreement(base.precision);
        if !error.is_finite() || error > most {
            return Err(Error::Failed(format!(
                "the bundle's descriptors differ from those of the training graph by {error:.1e} relative, more than {most:.0e}: it \
                 was not written"
            )));
        }
        draft.describe(|manifest| {
            if self.adapter.is_none() {
                manifest.adaptation = self.method.adaptation(None).unwrap_or(manifest.adaptation.clone());
            }
            manifest.matcher = base.matcher;
            manifest.results = measurements(format_of(&self.settings.validation), &validation);
        })?;
        let manifest = draft.finish()?;
        println!("{}: descriptors agree with the training graph to {error:.1e}", manifest.id);
        Ok(manifest)
    }
}

/// A dataset without its folder, which is nobody else's concern.
fn format_of(dataset: &str) -> &str {
    dataset.split('@').next().unwrap_or(dataset)
}

fn described(method: &Method) -> String {
    match method {
        Method::Finetune { blocks } => format!("the last {blocks} blocks"),
        Method::Lora(lora) => format!("LoRA of rank {} on {}", lora.rank, lora.targets.join(", ")),
        Method::Head(head) => format!("a bottleneck of {} channels over frozen descriptors", head.width),
    }
}

fn measurements(dataset: &str, validation: &Validation) -> Vec<Measurement> {
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

fn describer(folder: &Path) -> Result<Described, Error> {
    let config = EngineConfig { provider: ProviderChoice::Cpu, workers: 1, threads: 0, queue: 1 };
    let engine = Engine::start(&config, vec![Bundle::open(folder)?])?;
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    Ok(Described { engine, runtime: runtime.map_err(|error| Error::Failed(error.to_string()))? })
}

impl Described {
    fn of(&self, image: &Image, preparation: &Preparation) -> Result<Vec<f32>, Error> {
        let bytes = std::fs::read(&image.path).map_err(Error::file(&image.path))?;
        let photo = Photo::decode(&bytes, &DecodeLimits::default())?;
        let (pixels, _) = preparation.prepare(&photo)?;
        let model = self.engine.models().next().ok_or_else(|| Error::Failed("the bundle has no model".into()))?;
        Ok(self.runtime.block_on(self.engine.describe(model, pixels))?.data().to_vec())
    }
}
