//! `homolog-train export` and `demo`.

use crate::{Error, debias, progress};
use clap::{Args, ValueEnum};
use homolog_backbone::{
    Adapter, PublicAdapter,
    catalog::{self, Network},
    checkpoint::Checkpoint,
    export::{Draft, Options, Step},
    peft, random,
};
use homolog_core::{
    bundle::{self, Adaptation, AdapterProvenance, Feature, LoraTarget, Manifest, Precision, Provenance},
    geometry::FitMode,
};
use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

/// Writes a bundle from a checkpoint file.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The network, by its name in the catalogue (say dinov2-vitb14).
    pub network: String,
    /// Its checkpoint: the official .pth, or Hugging Face's .safetensors (a file, an index, or their folder).
    #[arg(long, required_unless_present = "random", conflicts_with = "random")]
    pub weights: Option<PathBuf>,
    /// Random weights of this seed instead: the network's size and speed can be tried before its weights are here. Its matches
    /// mean nothing.
    #[arg(long, value_name = "SEED")]
    pub random: Option<u64>,
    /// The bundle folder to write; its name becomes the model's id.
    #[arg(long)]
    pub out: PathBuf,
    /// Low-rank matrices to merge into the weights: the folder `adapter` of a run of `homolog-train lora`, or one of PEFT's for this
    /// network.
    #[arg(long, value_name = "FOLDER")]
    pub lora: Option<PathBuf>,
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
    /// What the network is computed in.
    #[arg(long, value_enum, default_value_t = PrecisionArg::Fp32)]
    pub precision: PrecisionArg,
    /// Compute the blocks' products, which are nearly all of a network's work, in integers: for CPUs, at a quarter of the size.
    /// `verify --against` shows what it does to the descriptors.
    #[arg(long, value_enum, conflicts_with = "precision")]
    pub quantize: Option<QuantizeArg>,
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
    /// A trained adapter over the descriptors (a file of DIY-SC, or of its kind), to be the end of the head. For a published
    /// one, feature and resolutions default to those it was trained with.
    #[arg(long)]
    pub adapter: Option<PathBuf>,
    /// Take the directions out of the descriptors that only tell where in the image a token lies (INSID3): so many, found
    /// by running the network on a black image of its default resolution.
    #[arg(long, value_name = "K", num_args = 0..=1, require_equals = true, default_missing_value = "20", conflicts_with = "adapter")]
    pub debias: Option<NonZeroUsize>,
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

/// What a network is computed in.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PrecisionArg {
    /// Single precision.
    Fp32,
    /// Half precision, for CUDA: a CPU computes it in single precision, and casts.
    Fp16,
    /// Single precision, stored in half the file.
    Fp16Storage,
}

/// What products are quantised to.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum QuantizeArg {
    /// 8 bits: weights by output channel, activations by token as they come.
    Int8,
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

impl BundleArgs {
    /// What both options say together.
    fn precision(&self) -> Precision {
        match (self.quantize, self.precision) {
            (Some(QuantizeArg::Int8), _) => Precision::Int8,
            (None, PrecisionArg::Fp32) => Precision::Fp32,
            (None, PrecisionArg::Fp16) => Precision::Fp16,
            (None, PrecisionArg::Fp16Storage) => Precision::Fp16Storage,
        }
    }
}

/// Runs `export`.
///
/// # Errors
/// Whatever reading the checkpoint or writing the bundle meets.
pub fn run(arguments: &ExportArgs) -> Result<Manifest, Error> {
    let mut network = catalog::find(&arguments.network)?;
    let bundle = &arguments.bundle;
    let mut usual_feature = network.feature;
    let (checkpoint, mut provenance, origin) = match &arguments.weights {
        Some(path) => {
            let (checkpoint, checkpoint_sha256) = (file_name(path), file_digest(path)?);
            let provenance = Provenance { checkpoint, checkpoint_sha256, ..provenance(&network) };
            (Checkpoint::open(path)?, provenance, "as released")
        }
        None => {
            let seed = arguments.random.unwrap_or_default();
            (random::weights(&network.family, seed), random_provenance(&network, seed), "with random weights")
        }
    };
    let mut description = format!("{} {origin}, not adapted.", network.name);
    let mut adapter = None;
    if let Some(path) = &bundle.adapter {
        let public = published(path, &network, &mut provenance)?;
        let name = public.map_or_else(|| file_name(path), |public| public.name.to_owned());
        description = format!("{} {origin}, and the adapter {name} over its descriptors.", network.name);
        if let Some(public) = public {
            (usual_feature, network.resolution) = (public.feature, public.resolution);
        }
        let feature = bundle.feature.map_or(usual_feature, Feature::from);
        adapter = Some(Adapter::open(&Checkpoint::open(path)?, network.family.channels(feature))?);
    }
    let (mut checkpoint, mut adaptation) = (checkpoint, None);
    if let Some(folder) = &arguments.lora {
        let merged = merged(&network, &checkpoint, folder)?;
        (checkpoint, adaptation) = (merged.0, Some(merged.1));
        description = format!("{description} The low-rank matrices of {} are merged into it.", file_name(folder));
    }
    if let Some(directions) = bundle.debias {
        description = format!("{description} {directions} directions that tell of position were taken out.");
    }
    let options = Options {
        split: bundle.split,
        feature: bundle.feature.map_or(usual_feature, Feature::from),
        precision: bundle.precision(),
        fit: bundle.fit,
        resolutions: bundle.resolutions.clone(),
        default_resolution: bundle.default_resolution,
        description,
        provenance,
        adapter,
    };
    write(&network, &checkpoint, &arguments.out, &options, bundle.debias, adaptation)
}

/// A checkpoint with the low-rank matrices in `folder` merged into it.
fn merged(network: &Network, checkpoint: &Checkpoint, folder: &Path) -> Result<(Checkpoint, Adaptation), Error> {
    let (lora, matrices) = peft::load(folder, &network.family)?;
    let weights = network.family.resolve(checkpoint, network.name)?;
    let merged = lora.merged(&weights, &matrices)?;
    let adapts = |part: &str| lora.modules.iter().any(|module| module.contains(part));
    let parts = [
        (LoraTarget::Q, ".q"),
        (LoraTarget::K, ".k"),
        (LoraTarget::V, ".v"),
        (LoraTarget::Proj, ".proj"),
        (LoraTarget::Mlp, ".mlp."),
    ];
    let targets = parts.into_iter().filter(|(_, part)| adapts(part)).map(|(target, _)| target).collect();
    let adaptation = Adaptation::Lora { rank: lora.rank, alpha: lora.alpha, targets };
    Ok((Checkpoint::from_tensors(weights.with(merged)?.checkpoint()?), adaptation))
}

/// Tells whether the adapter in `path` is a published one, and notes in `provenance` where it comes from.
fn published(
    path: &Path,
    network: &Network,
    provenance: &mut Provenance,
) -> Result<Option<&'static PublicAdapter>, Error> {
    let Some(sha256) = file_digest(path)? else {
        return Err(Error::File { path: path.into(), reason: "an adapter is one file, this is a folder".into() });
    };
    let public = PublicAdapter::find(&sha256);
    if let Some(PublicAdapter { name, network: wanted, .. }) = public.filter(|public| public.network != network.name) {
        let reason = format!("{name} was trained over {wanted}, not over {}", network.name);
        return Err(Error::File { path: path.into(), reason });
    }
    let licence = public.map(|public| public.licence.to_owned());
    provenance.adapter = Some(AdapterProvenance { file: file_name(path), sha256, licence });
    Ok(public)
}

fn write(
    network: &Network,
    checkpoint: &Checkpoint,
    out: &Path,
    options: &Options,
    debias: Option<NonZeroUsize>,
    adaptation: Option<Adaptation>,
) -> Result<Manifest, Error> {
    let bar = progress::weights();
    let made = || -> Result<Manifest, Error> {
        let mut draft = Draft::write(network, checkpoint, out, options, |step| match step {
            Step::Backbone => bar.set_message("backbone.onnx"),
            Step::Head => bar.set_message("head.onnx"),
            Step::Weight { done, total } => {
                bar.set_length(total as u64);
                bar.set_position(done as u64);
            }
            Step::Digests => bar.set_message("hashing the files"),
        })?;
        if let Some(directions) = debias {
            bar.set_message("finding what position does to the descriptors");
            debias::apply(&mut draft, directions)?;
        }
        if let Some(adaptation) = adaptation {
            draft.describe(|manifest| manifest.adaptation = adaptation)?;
        }
        Ok(draft.finish()?)
    };
    let manifest = made();
    bar.finish_and_clear();
    manifest
}

fn provenance(network: &Network) -> Provenance {
    Provenance {
        checkpoint: String::new(),
        checkpoint_sha256: None,
        licence: network.licence.into(),
        dataset: None,
        recipe: None,
        seed: None,
        adapter: None,
        made_by: concat!("homolog-train ", env!("CARGO_PKG_VERSION")).into(),
    }
}

fn random_provenance(network: &Network, seed: u64) -> Provenance {
    Provenance { checkpoint: format!("random weights, seed {seed}"), seed: Some(seed), ..provenance(network) }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A folder of shards has no digest of its own.
fn file_digest(path: &Path) -> Result<Option<String>, Error> {
    if path.is_dir() {
        return Ok(None);
    }
    bundle::digest_file(path).map(|info| Some(info.sha256)).map_err(Error::file(path))
}
