//! An adapted network as a bundle, which is not finished unless it gives what was trained.

use super::{AdaptArgs, Method, Settings};
use crate::{
    Error,
    training::{objective::Network as Objective, proof},
};
use homolog_adapt::Parameters;
use homolog_backbone::{
    Adapter, Weights,
    catalog::Network,
    checkpoint::{Checkpoint, Tensor},
    export::{Draft, Options},
    peft,
};
use homolog_core::bundle::{Bundle, Manifest, Provenance};
use std::collections::BTreeMap;

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
            let folder = arguments.run.join("adapter");
            peft::save(&folder, self.network.name, &self.network.family, &lora, self.method.dropout(), &tensors)?;
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
        let error = proof::agreement(
            &draft,
            &base.preparation(self.settings.data.resolution),
            &self.objective.validator,
            self.parameters,
        )?;
        draft.describe(|manifest| {
            if self.adapter.is_none() {
                manifest.adaptation = self.method.adaptation(None).unwrap_or(manifest.adaptation.clone());
            }
            manifest.matcher = base.matcher;
            manifest.results = proof::measurements(format_of(&self.settings.validation), &validation);
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
