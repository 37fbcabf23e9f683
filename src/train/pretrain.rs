//! `homolog-train pretrain`: a whole small network from nothing, on pictures that are rendered as they are needed.

mod batches;
mod finish;

pub use batches::{Pictures, Stage, SynthBatches};

use crate::{
    Error,
    adapt::Place,
    training::{
        describe::Describer,
        graph::{Design, TrainingGraph},
        objective::{self, Network},
        step::{Input, Step},
        validate::Validator,
    },
};
use clap::Args;
use homolog_adapt::{Ended, Folder, Outcome, Parameters, Training, fit, run::Checkpoint};
use homolog_backbone::{Trained, catalog, random};
use homolog_core::{
    bundle::Preparation,
    features::Sampling,
    geometry::{FitMode, Grid},
    image::{DecodeLimits, Interpolation, Normalisation, Photo},
    matching::{self, Matcher},
};
use homolog_engine::ProviderChoice;
use homolog_eval::{
    Dataset,
    dataset::Image,
    readers::{ReadOptions, Split, spair71k},
};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

/// Trains a whole small network on rendered pictures.
#[derive(Args, Debug)]
pub struct PretrainArgs {
    /// The recipe, a TOML file: `[pictures]`, `[validation]` and `[training]`.
    #[arg(long)]
    pub config: PathBuf,
    /// The run's folder.
    #[arg(long)]
    pub run: PathBuf,
    /// The bundle folder to write.
    #[arg(long)]
    pub out: PathBuf,
    /// A dataset that the finished network is measured on, as FORMAT@FOLDER; may be given again. It decides nothing.
    #[arg(long, value_name = "FORMAT@FOLDER")]
    pub measure: Vec<Place>,
    /// Go on where the run in this folder was stopped.
    #[arg(long)]
    pub resume: bool,
    /// Threads; 0 for as many as there are cores.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// What the graphs run on: cpu, cuda (an error where it cannot be had) or auto. Only on a CPU is a run the same to the bit.
    #[arg(long, default_value = "cpu")]
    pub provider: ProviderChoice,
}

/// A recipe of pre-training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The network, by its name in the catalogue.
    pub network: String,
    /// The seed of the weights that training begins with.
    pub seed: u64,
    /// What it is trained on.
    pub pictures: Pictures,
    /// What decides which parameters are kept.
    pub validation: Validation,
    /// How.
    pub training: Training,
    /// The bundle that it becomes.
    pub bundle: BundleRecipe,
}

/// What a bundle offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleRecipe {
    /// Sides that may be asked for, px.
    pub resolutions: Vec<u32>,
    /// The side taken when none is asked for, and measured at.
    pub default_resolution: u32,
    /// What a person reads who chooses a model.
    pub description: String,
}

/// A synthetic benchmark whose `val` split is validated on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Its seed.
    pub seed: u64,
    /// Images of each category.
    pub images: usize,
    /// Pairs of each category.
    pub pairs: usize,
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// [`Error::File`] with what is wrong with it.
    pub fn read(path: &Path) -> Result<Recipe, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
        toml::from_str(&text).map_err(|error| Error::File { path: path.into(), reason: error.to_string() })
    }
}

/// Runs `pretrain` until it is finished or `cancel` is set.
///
/// # Errors
/// Whatever reading the recipe, rendering, training and writing meet.
pub fn run(arguments: &PretrainArgs, cancel: &AtomicBool) -> Result<Outcome, Error> {
    if arguments.out.exists() {
        return Err(Error::File { path: arguments.out.clone(), reason: "is there already".into() });
    }
    let recipe = Recipe::read(&arguments.config)?;
    let network = catalog::find(&recipe.network)?;
    let patch = network.family.info(network.name).patch;
    let folder = Folder::open(&arguments.run, &recipe)?;
    let batches = SynthBatches::new(recipe.pictures.clone(), patch)?;
    let side = (network.resolution / patch) as usize;

    let checkpoint = random::initial(&network.family, recipe.seed);
    let weights = network.family.resolve(&checkpoint, network.name)?;
    let losses = &recipe.training.losses;
    let design = Design {
        family: network.family,
        frozen: None,
        feature: network.feature,
        trained: Trained { weights: weights.names().map(str::to_owned).collect(), lora: None },
        adapter: None,
        losses,
        grid: Grid::new(side, side),
        classes: batches.classes(),
    };
    let graphs = arguments.run.join("graphs");
    std::fs::create_dir_all(&graphs).map_err(Error::file(&graphs))?;
    let graph = TrainingGraph::write(&graphs, &weights, &design)?;
    let mut parameters: Parameters = objective::parameters(&graph.parameters);
    let input = Input::Image { patch: patch as usize };
    let step = Step::load(graph, losses.clone(), input, 0.0, arguments.provider, arguments.threads)?;
    let over = |dataset: Dataset, resolution: u32| -> Result<Validator, Error> {
        let describer = Describer::new(&graphs, &weights, &design, arguments.provider, arguments.threads)?;
        let preparation = Preparation {
            fit: FitMode::Squash,
            resolution,
            patch,
            interpolation: Interpolation::Bicubic,
            normalisation: Normalisation::IMAGENET,
        };
        Ok(validator(dataset, describer, preparation, network.family.channels(network.feature)))
    };
    let mut objective = Network { step, validator: over(validation(&arguments.run, &recipe)?, network.resolution)? };
    let training = &recipe.training;
    let outcome = fit(&mut objective, &batches, &mut parameters, training, &folder, cancel, arguments.resume)?;
    if outcome.ended != Ended::Cancelled {
        Checkpoint::read(&folder.best())?.restore(&mut parameters)?;
        // Those that `over` reads are borrowed.
        let weights = network.family.resolve(&checkpoint, network.name)?;
        let finished = finish::Finished { recipe: &recipe, network: &network, weights, parameters: &parameters };
        finished.export(arguments, &over)?;
    }
    Ok(outcome)
}

/// Renders the validation's images, unless they are there, and reads them as any benchmark is read.
fn validation(run: &Path, recipe: &Recipe) -> Result<Dataset, Error> {
    let folder = run.join("validation");
    if !folder.exists() {
        let Validation { seed, images, pairs } = recipe.validation;
        let options = homolog_synth::Options {
            seed,
            images: [0, images, 0],
            pairs: [0, pairs, 0],
            ..homolog_synth::Options::default()
        };
        homolog_synth::write(&folder, &options, &|_, _| {})?;
    }
    let read = ReadOptions { strict: true, check_images: true };
    Ok(spair71k::read(&folder, spair71k::Layout::Large, Split::Val, &read)?)
}

/// PCK over the pairs of a dataset, whose images are prepared as a bundle would.
fn validator(dataset: Dataset, describer: Describer, preparation: Preparation, channels: usize) -> Validator {
    let side = preparation.resolution as usize;
    let source = move |image: &Image| {
        let bytes = std::fs::read(&image.path).map_err(|error| error.to_string())?;
        let photo = Photo::decode(&bytes, &DecodeLimits::default()).map_err(|error| error.to_string())?;
        let (pixels, fit) = preparation.prepare(&photo).map_err(|error| error.to_string())?;
        Ok((vec![1, 3, side, side], pixels.into_data(), fit))
    };
    let matching =
        matching::Settings { matcher: Matcher::default(), sampling: Sampling::Bilinear, top_k: 0, cycle: false };
    let fit = move |image: &Image| preparation.fit(image.size).ok();
    Validator::new(dataset, describer, channels, matching, fit, source)
}
