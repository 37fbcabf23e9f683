//! The trained network as a bundle.

use super::{PretrainArgs, Recipe, Validator};
use crate::{Error, training::proof};
use homolog_adapt::Parameters;
use homolog_backbone::{
    Weights,
    catalog::Network,
    checkpoint::{Checkpoint, Tensor},
    export::{Draft, Options},
};
use homolog_core::{
    bundle::{Manifest, Precision, Provenance},
    geometry::FitMode,
};
use homolog_eval::{
    Dataset,
    readers::{self, ReadOptions},
};

/// A run at its end.
pub struct Finished<'a, 'w> {
    /// What was asked for.
    pub recipe: &'a Recipe,
    /// The network.
    pub network: &'a Network,
    /// Its weights before.
    pub weights: Weights<'w>,
    /// The best parameters.
    pub parameters: &'a Parameters,
}

impl Finished<'_, '_> {
    /// Writes the bundle, compares it with the training graph, and measures it; `over` makes what measures.
    ///
    /// # Errors
    /// [`Error::Failed`] when its descriptors are not those of the training graph; whatever reading the datasets, writing and running
    /// meet. Nothing is left at the bundle's place then.
    pub fn export(
        self,
        arguments: &PretrainArgs,
        over: &dyn Fn(Dataset, u32) -> Result<Validator, Error>,
    ) -> Result<Manifest, Error> {
        let Finished { recipe, network, weights, parameters } = self;
        let trained = parameters.iter().filter(|one| weights.has(&one.name));
        let trained = trained
            .map(|one| (one.name.clone(), Tensor { shape: one.shape.clone(), data: one.data.clone() }))
            .collect();
        let checkpoint = Checkpoint::from_tensors(weights.with(trained)?.checkpoint()?);
        let bundle = &recipe.bundle;
        let options = Options {
            split: None,
            feature: network.feature,
            precision: Precision::Fp16Storage,
            fit: FitMode::Squash,
            resolutions: bundle.resolutions.clone(),
            default_resolution: Some(bundle.default_resolution),
            description: bundle.description.clone(),
            provenance: Provenance {
                checkpoint: "trained from random weights".into(),
                checkpoint_sha256: None,
                licence: network.licence.into(),
                dataset: Some("homolog-train synth, rendered as it trained".into()),
                recipe: toml::to_string(recipe).ok(),
                seed: Some(recipe.seed),
                adapter: None,
                made_by: concat!("homolog-train ", env!("CARGO_PKG_VERSION")).into(),
            },
            adapter: None,
        };
        let mut draft = Draft::write(network, &checkpoint, &arguments.out, &options, |_| {})?;
        let resolution = bundle.default_resolution;
        let preparation = draft.manifest().preparation(resolution);
        let validator = over(super::validation(&arguments.run, recipe)?, resolution)?;
        let error = proof::agreement(&draft, &preparation, &validator, parameters)?;
        let mut results = proof::measurements("synthetic:val", &validator.validate(parameters)?);
        for place in &arguments.measure {
            let options = ReadOptions { strict: false, check_images: true };
            let dataset = readers::read(&place.folder, &place.format, &options)?;
            let validation = over(dataset, resolution)?.validate(parameters)?;
            results.extend(proof::measurements(&place.format.to_string(), &validation));
        }
        draft.describe(|manifest| manifest.results = results)?;
        let manifest = draft.finish()?;
        println!("{}: descriptors agree with the training graph to {error:.1e}", manifest.id);
        for result in &manifest.results {
            println!("{} {}: {:.1} %", result.dataset, result.metric, 100.0 * result.value);
        }
        Ok(manifest)
    }
}
