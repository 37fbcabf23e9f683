//! `homolog-train finetune`, `lora` and `head`: a bundle in, an adapted bundle out. The three differ in what is trained
//! ([`method`]); tokens of the frozen blocks ([`frozen`]), the run and the export ([`finish`]) are the same.

mod estimate;
mod finish;
mod frozen;
mod method;
mod settings;

pub use method::{HeadArgs, LoraArgs, Method};
pub use settings::{AdaptArgs, Data, Place, Settings};

use crate::{
    Error,
    training::{
        describe::Describer,
        graph::{Design, TrainingGraph},
        objective::{self, Network},
        step::{Input, Step},
        validate::Validator,
    },
};
use frozen::Frozen;
use homolog_adapt::{
    Ended, Folder, Outcome, Parameters,
    data::{Order, Samples, TokenCache, TokenSpec, TrainingSet},
    fit,
    run::Checkpoint as RunCheckpoint,
};
use homolog_backbone::{Adapter, catalog, checkpoint::Checkpoint, unpack};
use homolog_core::{
    bundle::Bundle,
    features::Dtype,
    matching::{self, Matcher},
};
use homolog_eval::{
    Dataset,
    dataset::Image,
    readers::{self, ReadOptions},
};
use std::sync::{Arc, atomic::AtomicBool};

/// Runs one of the three until it is finished or `cancel` is set; none if it was a dry run.
///
/// # Errors
/// Whatever reading the bundle and the data, training, and writing meet.
pub fn run(arguments: &AdaptArgs, method: &Method, cancel: &AtomicBool) -> Result<Option<Outcome>, Error> {
    let base = Bundle::open(&arguments.model)?;
    let network = catalog::find(&base.manifest().backbone.name)?;
    let checkpoint = match &arguments.weights {
        Some(path) => Checkpoint::open(path)?,
        None => unpack(&arguments.model, &network.family)?,
    };
    let weights = network.family.resolve(&checkpoint, network.name)?;
    let settings = arguments.settings(&base, method)?;
    let training_set = dataset(arguments.data.train())?;
    let validation = dataset(arguments.data.validation())?;

    let feature = base.manifest().feature;
    let chosen = method.trained(&weights, base.manifest())?;
    let adapter = method.adapter(network.family.channels(feature), settings.training.seed)?;
    let preparation = base.manifest().preparation(settings.data.resolution);
    let samples = Arc::new(Samples::new(&training_set, preparation.fit, preparation.resolution, preparation.patch)?);
    let losses = &settings.training.losses;
    let design = Design {
        family: network.family,
        frozen: Some(chosen.first),
        feature,
        trained: chosen.trained,
        adapter: adapter.as_ref(),
        losses,
        grid: samples.grid(),
        classes: 0,
    };
    let order = Order::new(samples.clone(), settings.data.order(settings.training.seed))?;
    let spec = TokenSpec {
        backbone: base.digest(),
        blocks: chosen.first,
        resolution: preparation.resolution,
        fit: preparation.fit,
        shape: [samples.grid().len() + network.family.prefix(), base.manifest().backbone.width],
        dtype: if settings.data.half_tokens { Dtype::F16 } else { Dtype::F32 },
    };
    if arguments.dry_run {
        let planned = estimate::Planned {
            settings: &settings,
            design: &design,
            weights: &weights,
            order: &order,
            spec: &spec,
            validation: &validation,
            dropout: method.dropout(),
        };
        planned.print(arguments)?;
        return Ok(None);
    }
    let folder = Folder::open(&arguments.run, &settings)?;
    let graphs = arguments.run.join("graphs");
    std::fs::create_dir_all(&graphs).map_err(Error::file(&graphs))?;
    let graph = TrainingGraph::write(&graphs, &weights, &design)?;
    let mut parameters: Parameters = objective::parameters(&graph.parameters);
    method.begin(&mut parameters, settings.training.seed);

    let source = Arc::new(Frozen::new(&graphs, &weights, &design, preparation, arguments)?);
    let notice = Box::new(|sentence: &str| tracing::warn!("{sentence}"));
    let mut cache = TokenCache::open(spec.clone(), arguments.cache(), source.clone(), notice)?;
    let flips = settings.data.flip > 0.0;
    let views: Vec<(&std::path::Path, bool)> =
        samples.views(flips).into_iter().map(|view| (samples.path(view.image), view.flipped)).collect();
    crate::progress::views(|progress| cache.prepare(views, progress))?;

    let provider = arguments.provider;
    let step = Step::load(graph, losses.clone(), Input::Tokens, method.dropout(), provider, arguments.threads)?;
    let describer = Describer::new(&graphs, &weights, &design, provider, arguments.threads)?;
    let channels = adapter.as_ref().map_or(network.family.channels(feature), Adapter::output);
    let validator = validator(validation, describer, channels, preparation, source.clone(), base.manifest().matcher);
    let mut objective = Network { step, validator };
    let batches = TrainingSet::new(order, cache);
    let training = &settings.training;
    let outcome = fit(&mut objective, &batches, &mut parameters, training, &folder, cancel, arguments.resume)?;
    if outcome.ended == Ended::Cancelled {
        return Ok(Some(outcome));
    }
    RunCheckpoint::read(&folder.best())?.restore(&mut parameters)?;
    let written = finish::Finished {
        base: &base,
        network: &network,
        weights,
        method,
        settings: &settings,
        adapter: adapter.as_ref(),
        parameters: &parameters,
        objective: &objective,
        reaches_backbone: chosen.first < base.manifest().split,
    };
    written.export(arguments)?;
    Ok(Some(outcome))
}

fn dataset(data: &settings::Place) -> Result<Dataset, Error> {
    let options = ReadOptions { strict: false, check_images: true };
    Ok(readers::read(&data.folder, &data.format, &options)?)
}

/// PCK over pairs whose tokens are computed as they are asked for.
fn validator(
    dataset: Dataset,
    describer: Describer,
    channels: usize,
    preparation: homolog_core::bundle::Preparation,
    source: Arc<Frozen>,
    matcher: Matcher,
) -> Validator {
    let matching = matching::Settings { matcher, ..matching::Settings::default() };
    let kept = frozen::Kept::new(source);
    let inputs = move |image: &Image| {
        let fit = preparation.fit(image.size).map_err(|error| error.to_string())?;
        let tokens = kept.tokens(&image.path).map_err(|error| error.to_string())?;
        Ok((vec![1, tokens.shape[0], tokens.shape[1]], tokens.data.clone(), fit))
    };
    let fit = move |image: &Image| preparation.fit(image.size).ok();
    Validator::new(dataset, describer, channels, matching, fit, inputs)
}
