//! `homolog-train pretrain`: a whole small network from nothing, on pictures that are rendered as they are needed.

mod batches;

pub use batches::{Pictures, SynthBatches};

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
use clap::Args;
use homolog_adapt::{Folder, Outcome, Parameters, Training, fit};
use homolog_backbone::{Trained, catalog, random};
use homolog_core::{
    features::Sampling,
    geometry::{FitMode, Grid},
    image::{DecodeLimits, Interpolation, Normalisation, Photo},
    matching::{self, Matcher},
};
use homolog_eval::{
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
    /// Go on where the run in this folder was stopped.
    #[arg(long)]
    pub resume: bool,
    /// Threads; 0 for as many as there are cores.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
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
    let recipe = Recipe::read(&arguments.config)?;
    let network = catalog::find(&recipe.network)?;
    let patch = network.family.info(network.name).patch;
    let folder = Folder::open(&arguments.run, &recipe)?;
    let batches = SynthBatches::new(recipe.pictures.clone(), patch)?;
    let side = recipe.pictures.side;
    let grid = Grid::new((side / patch) as usize, (side / patch) as usize);

    let checkpoint = random::initial(&network.family, recipe.seed);
    let weights = network.family.resolve(&checkpoint, network.name)?;
    let trained = Trained { weights: weights.names().map(str::to_owned).collect(), lora: None };
    let losses = &recipe.training.losses;
    let design =
        Design { family: network.family, frozen: None, feature: network.feature, trained, adapter: None, losses, grid };
    let graphs = arguments.run.join("graphs");
    std::fs::create_dir_all(&graphs).map_err(Error::file(&graphs))?;
    let graph = TrainingGraph::write(&graphs, &weights, &design)?;
    let mut parameters: Parameters = objective::parameters(&graph.parameters);
    let provider = homolog_engine::ProviderChoice::Cpu;
    let input = Input::Image { patch: patch as usize };
    let step = Step::load(graph, losses.clone(), input, 0.0, provider, arguments.threads)?;
    let describer = Describer::new(&graphs, &weights, &design, provider, arguments.threads)?;
    let validator = validator(&arguments.run, &recipe, describer, patch, network.family.channels(network.feature))?;
    let mut objective = Network { step, validator };
    let training = &recipe.training;
    Ok(fit(&mut objective, &batches, &mut parameters, training, &folder, cancel, arguments.resume)?)
}

/// Renders the validation's images, unless they are there, and reads them as any benchmark is read.
fn validator(
    run: &Path,
    recipe: &Recipe,
    describer: Describer,
    patch: u32,
    channels: usize,
) -> Result<Validator, Error> {
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
    let dataset = spair71k::read(&folder, spair71k::Layout::Large, Split::Val, &read)?;
    let preparation = homolog_core::bundle::Preparation {
        fit: FitMode::Squash,
        resolution: recipe.pictures.side,
        patch,
        interpolation: Interpolation::Bicubic,
        normalisation: Normalisation::IMAGENET,
    };
    let side = recipe.pictures.side as usize;
    let source = move |image: &Image| {
        let bytes = std::fs::read(&image.path).map_err(|error| error.to_string())?;
        let photo = Photo::decode(&bytes, &DecodeLimits::default()).map_err(|error| error.to_string())?;
        let (pixels, fit) = preparation.prepare(&photo).map_err(|error| error.to_string())?;
        Ok((vec![1, 3, side, side], pixels.into_data(), fit))
    };
    let matching =
        matching::Settings { matcher: Matcher::default(), sampling: Sampling::Bilinear, top_k: 0, cycle: false };
    let fit = move |image: &Image| preparation.fit(image.size).ok();
    Ok(Validator::new(dataset, describer, channels, matching, fit, source))
}
