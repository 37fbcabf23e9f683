//! What a run of adaptation is asked to do, and what it would take.

use super::Method;
use crate::Error;
use clap::Args;
use homolog_adapt::{
    RECIPES, Training,
    data::{CacheSettings, OrderSettings},
};
use homolog_core::bundle::Bundle;
use homolog_engine::ProviderChoice;
use homolog_eval::readers::Format;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A bundle, data to adapt it on, and where the result goes.
#[derive(Args, Debug)]
pub struct AdaptArgs {
    /// The bundle to adapt.
    #[arg(long)]
    pub model: PathBuf,
    /// The checkpoint that it was made of. Without it the bundle's own weights are trained, into which LayerScale is folded; recipes of
    /// the literature train the two apart.
    #[arg(long)]
    pub weights: Option<PathBuf>,
    /// The data.
    #[command(flatten)]
    pub data: DataArgs,
    /// The bundle folder to write.
    #[arg(long)]
    pub out: PathBuf,
    /// The run's folder: configuration, metrics, plots, checkpoints.
    #[arg(long)]
    pub run: PathBuf,
    /// A recipe by its name: visual-ai, light, lora-weak, lora-strong, geoaware [default: the method's own].
    #[arg(long, conflicts_with = "config")]
    pub recipe: Option<String>,
    /// A recipe of one's own, a TOML file of `[training]` and `[data]`; flags go before it.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Passes over the pairs.
    #[arg(long)]
    pub epochs: Option<u64>,
    /// Steps in all, in place of epochs.
    #[arg(long)]
    pub steps: Option<u64>,
    /// The peak of the learning rate.
    #[arg(long)]
    pub learning_rate: Option<f64>,
    /// Decides everything random.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Go on where the run in this folder was stopped.
    #[arg(long)]
    pub resume: bool,
    /// Say what would be trained and what it would take, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Where tokens of frozen blocks are kept for later runs.
    #[arg(long, default_value = ".cache/tokens")]
    pub token_cache: PathBuf,
    /// Most bytes that they take there, in gigabytes.
    #[arg(long, default_value_t = 20.0)]
    pub token_cache_gb: f64,
    /// Threads; 0 for as many as there are cores.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// What the graphs run on: cpu, cuda (an error where it cannot be had) or auto. Only on a CPU is a run the same to the bit.
    #[arg(long, default_value = "cpu")]
    pub provider: ProviderChoice,
}

/// Datasets, as `FORMAT@FOLDER`.
#[derive(Args, Clone, Debug)]
pub struct DataArgs {
    /// What is trained on, as spair71k:trn@DIR.
    #[arg(long = "train")]
    train: Place,
    /// What decides which parameters are kept, as spair71k:val@DIR.
    #[arg(long = "validate")]
    validation: Place,
    /// Side of the network's canvas, px [default: the bundle's].
    #[arg(long)]
    pub resolution: Option<u32>,
}

impl DataArgs {
    /// The training pairs.
    pub fn train(&self) -> &Place {
        &self.train
    }

    /// The validation pairs.
    pub fn validation(&self) -> &Place {
        &self.validation
    }
}

/// A dataset: its format and its folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// What it is.
    pub format: Format,
    /// Where it is.
    pub folder: PathBuf,
    text: String,
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        let (format, folder) =
            text.split_once('@').ok_or("a dataset is FORMAT@FOLDER, say spair71k:trn@data/SPair-71k")?;
        let format = format.parse().map_err(|error: homolog_eval::Error| error.to_string())?;
        Ok(Place { format, folder: folder.into(), text: text.into() })
    }
}

/// The resolved configuration of a run: all that decides its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Digest of the bundle that is adapted.
    pub model: String,
    /// SHA-256 of the checkpoint, where one is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// What is trained on.
    pub train: String,
    /// What is validated on.
    pub validation: String,
    /// How batches are made.
    pub data: Data,
    /// What is trained.
    pub method: Method,
    /// How.
    pub training: Training,
}

/// How batches are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// Side of the network's canvas, px; 0: the bundle's own.
    pub resolution: u32,
    /// Most images of a batch.
    pub images_per_batch: usize,
    /// Most pairs of a batch.
    pub pairs_per_batch: usize,
    /// Batches of a step, of different categories.
    pub accumulation: usize,
    /// Probability that an image is mirrored.
    pub flip: f64,
    /// Whether every category has as many batches.
    pub balanced: bool,
    /// Keep frozen tokens in half precision: half the room, each number rounded by up to 1 in 2,048.
    pub half_tokens: bool,
}

impl Default for Data {
    fn default() -> Data {
        Data {
            resolution: 0,
            images_per_batch: 8,
            pairs_per_batch: 32,
            accumulation: 1,
            flip: 0.25,
            balanced: true,
            half_tokens: false,
        }
    }
}

impl Data {
    /// As the order of batches takes them.
    pub fn order(&self, seed: u64) -> OrderSettings {
        let Data { images_per_batch, pairs_per_batch, accumulation, flip, balanced, .. } = *self;
        OrderSettings { seed, images_per_batch, pairs_per_batch, flip, balanced, accumulation }
    }
}

/// What a recipe's file may say.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct File {
    training: Option<Training>,
    #[serde(default)]
    data: Data,
}

impl AdaptArgs {
    /// Everything decided.
    ///
    /// # Errors
    /// [`Error::File`] for a recipe that is none, [`homolog_adapt::Error::Setting`] for a value that cannot be.
    pub fn settings(&self, base: &Bundle, method: &Method) -> Result<Settings, Error> {
        let file = match &self.config {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
                toml::from_str(&text).map_err(|error| Error::File { path: path.clone(), reason: error.to_string() })?
            }
            None => File::default(),
        };
        let named = match &self.recipe {
            Some(name) => {
                let names: Vec<&str> = RECIPES.iter().map(|recipe| recipe.name).collect();
                let found = RECIPES.iter().find(|recipe| recipe.name == name);
                let none = || Error::Failed(format!("recipe: `{name}` is none of {}", names.join(", ")));
                Some((found.ok_or_else(none)?.training)())
            }
            None => file.training,
        };
        let mut training = named.unwrap_or_else(|| method.recipe());
        if let Some(epochs) = self.epochs {
            (training.epochs, training.steps) = (epochs, None);
        }
        training.steps = self.steps.or(training.steps);
        training.learning_rate = self.learning_rate.unwrap_or(training.learning_rate);
        training.seed = self.seed.unwrap_or(training.seed);
        training.check()?;
        let mut data = file.data;
        let chosen = (data.resolution > 0).then_some(data.resolution);
        data.resolution = self.data.resolution.or(chosen).unwrap_or(base.manifest().default_resolution);
        let manifest = base.manifest();
        if !manifest.resolutions.contains(&data.resolution) {
            let reason = format!("{} is none of {:?}, which the bundle offers", data.resolution, manifest.resolutions);
            return Err(homolog_adapt::Error::Setting { field: "resolution", reason }.into());
        }
        let digest = |path: &PathBuf| homolog_core::bundle::digest_file(path).map_err(Error::file(path));
        Ok(Settings {
            model: base.digest(),
            weights: self.weights.as_ref().map(digest).transpose()?.map(|file| file.sha256),
            train: self.data.train.text.clone(),
            validation: self.data.validation.text.clone(),
            data,
            method: method.clone(),
            training,
        })
    }

    /// Where frozen tokens are kept.
    pub fn cache(&self) -> CacheSettings {
        let bound = (self.token_cache_gb.max(0.0) * 1e9) as u64;
        CacheSettings { folder: self.token_cache.clone(), bound, callers: 2 }
    }
}
