//! `homolog-train export` and `demo`.

use crate::{Error, progress};
use clap::{Args, ValueEnum};
use homolog_backbone::{
    catalog::{self, Network},
    checkpoint::Checkpoint,
    export::{Options, Step, export},
    onnx::Storage,
    random,
};
use homolog_core::{
    bundle::{self, Feature, Manifest, Provenance},
    geometry::FitMode,
};
use std::path::{Path, PathBuf};

/// Writes a bundle from a checkpoint file.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The network, by its name in the catalogue (say dinov2-vitb14).
    pub network: String,
    /// Its checkpoint: the official .pth, or Hugging Face's .safetensors (a file, an index, or their folder).
    #[arg(long)]
    pub weights: PathBuf,
    /// The bundle folder to write; its name becomes the model's id.
    #[arg(long)]
    pub out: PathBuf,
    /// What the bundle is to be.
    #[command(flatten)]
    pub bundle: BundleArgs,
}

/// What a bundle is to be, beside its network and its weights.
#[derive(Args, Debug)]
pub struct BundleArgs {
    /// Blocks in the shared backbone part; the rest is the head [default: all but four].
    #[arg(long)]
    pub split: Option<usize>,
    /// Which features are the descriptors [default: those that the literature takes of this network].
    #[arg(long, value_enum)]
    pub feature: Option<FeatureArg>,
    /// How weights are stored.
    #[arg(long, value_enum, default_value_t = StorageArg::Fp32)]
    pub storage: StorageArg,
    /// How images are fitted: squash, letterbox, pad or aspect.
    #[arg(long, default_value_t = FitMode::Squash)]
    pub fit: FitMode,
    /// Sides that may be asked for, in pixels, each a multiple of the patch [default: half, seven eighths and all of the
    /// network's own].
    #[arg(long, value_delimiter = ',')]
    pub resolutions: Vec<u32>,
    /// The side taken when none is asked for [default: the network's own, or the largest].
    #[arg(long)]
    pub default_resolution: Option<u32>,
}

/// Which features are the descriptors.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FeatureArg {
    /// The last block's output before the final norm; SAM, which has no such norm: the last block's output.
    PreNorm,
    /// After the final norm.
    PostNorm,
    /// SAM's neck, 256 channels.
    Neck,
}

/// How weights are stored.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StorageArg {
    /// Single precision.
    Fp32,
    /// Half the file; computed in single precision all the same.
    Fp16,
}

impl From<FeatureArg> for Feature {
    fn from(argument: FeatureArg) -> Feature {
        match argument {
            FeatureArg::PreNorm => Feature::PreNorm,
            FeatureArg::PostNorm => Feature::PostNorm,
            FeatureArg::Neck => Feature::Neck,
        }
    }
}

impl From<StorageArg> for Storage {
    fn from(argument: StorageArg) -> Storage {
        match argument {
            StorageArg::Fp32 => Storage::Fp32,
            StorageArg::Fp16 => Storage::Fp16,
        }
    }
}

/// Runs `export`.
///
/// # Errors
/// Whatever reading the checkpoint or writing the bundle meets.
pub fn run(arguments: &ExportArgs) -> Result<Manifest, Error> {
    let network = catalog::find(&arguments.network)?;
    let bundle = &arguments.bundle;
    let checkpoint = Checkpoint::open(&arguments.weights)?;
    let name = arguments.weights.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let options = Options {
        split: bundle.split,
        feature: bundle.feature.map_or(network.feature, Feature::from),
        storage: bundle.storage.into(),
        fit: bundle.fit,
        resolutions: bundle.resolutions.clone(),
        default_resolution: bundle.default_resolution,
        description: format!("{} as released, not adapted.", network.name),
        provenance: Provenance {
            checkpoint: name,
            checkpoint_sha256: file_digest(&arguments.weights)?,
            ..provenance(&network)
        },
    };
    write(&network, &checkpoint, &arguments.out, &options)
}

/// Writes the demo bundle: the demo network with random weights of a fixed seed.
///
/// # Errors
/// Whatever writing meets.
pub fn demo(out: &Path, seed: u64) -> Result<Manifest, Error> {
    let network = catalog::DEMO;
    let options = Options {
        split: None,
        feature: network.feature,
        storage: Storage::Fp16,
        fit: FitMode::Squash,
        resolutions: vec![112, 224, 336, 448],
        default_resolution: Some(336),
        description:
            "A small DINOv2-shaped network with random weights: it shows the service at work and finds look-alike \
                      colours and edges, not parts. Its accuracy means nothing."
                .into(),
        provenance: Provenance {
            checkpoint: format!("random weights, seed {seed}"),
            seed: Some(seed),
            ..provenance(&network)
        },
    };
    write(&network, &random::weights(&network.family, seed), out, &options)
}

fn write(network: &Network, checkpoint: &Checkpoint, out: &Path, options: &Options) -> Result<Manifest, Error> {
    let bar = progress::weights();
    let result = export(network, checkpoint, out, options, |step| match step {
        Step::Backbone => bar.set_message("backbone.onnx"),
        Step::Head => bar.set_message("head.onnx"),
        Step::Weight { done, total } => {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
        Step::Digests => bar.set_message("hashing the files"),
    });
    bar.finish_and_clear();
    Ok(result?)
}

fn provenance(network: &Network) -> Provenance {
    Provenance {
        checkpoint: String::new(),
        checkpoint_sha256: None,
        licence: network.licence.into(),
        dataset: None,
        recipe: None,
        seed: None,
        made_by: concat!("homolog-train ", env!("CARGO_PKG_VERSION")).into(),
    }
}

/// A folder of shards has no digest of its own.
fn file_digest(path: &Path) -> Result<Option<String>, Error> {
    if path.is_dir() {
        return Ok(None);
    }
    bundle::digest_file(path).map(|info| Some(info.sha256)).map_err(Error::file(path))
}
