//! `manifest.json`, field by field, and the rules a manifest obeys.

use super::{BACKBONE, HEAD, is_plain};
use crate::{
    features::Sampling,
    geometry::FitMode,
    image::{Interpolation, Normalisation},
    matching::Matcher,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// The version of the manifest that this program writes and reads.
pub const SCHEMA: u32 = 1;

/// Limits that keep a manifest from asking the service for the impossible.
const MAX_RESOLUTION: u32 = 4096;
const MAX_CHANNELS: usize = 16_384;

/// What a bundle is and how to run it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format: 1.
    pub schema: u32,
    /// The bundle's name; that of its folder and of the model in the API.
    pub id: String,
    /// One or two sentences for a person who chooses a model.
    pub description: String,
    /// The network.
    pub backbone: BackboneInfo,
    /// Number of blocks in `backbone.onnx`; the others are in `head.onnx`.
    pub split: usize,
    /// Which features are the descriptors.
    pub feature: Feature,
    /// Channels of a descriptor.
    pub channels: usize,
    /// What the network is computed in.
    pub precision: Precision,
    /// How an image is fitted to the network's input.
    pub fit: FitMode,
    /// How it is resized.
    pub interpolation: Interpolation,
    /// What is subtracted from and divided out of its values.
    pub normalisation: Normalisation,
    /// Sides of the input in pixels that may be asked for, ascending.
    pub resolutions: Vec<u32>,
    /// The side that is taken when none is asked for.
    pub default_resolution: u32,
    /// The matcher that is taken when none is asked for.
    pub matcher: Matcher,
    /// How the source's descriptor is read at a point.
    pub sampling: Sampling,
    /// How the network was adapted to correspondence.
    pub adaptation: Adaptation,
    /// What the head takes out of the descriptors, where it was made to.
    #[serde(default)]
    pub debias: Option<Debias>,
    /// Where the weights come from.
    pub provenance: Provenance,
    /// What was measured with this bundle.
    #[serde(default)]
    pub results: Vec<Measurement>,
    /// Every other file of the bundle, by its plain name.
    pub files: BTreeMap<String, FileInfo>,
}

/// The network's family and sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackboneInfo {
    /// The catalogue's name, say `dinov2-vitb14`.
    pub name: String,
    /// The family, say `dinov2`.
    pub family: String,
    /// Pixels on a patch's side: the input of one token.
    pub patch: u32,
    /// Channels of a token.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads.
    pub heads: usize,
    /// Register (storage) tokens.
    pub registers: usize,
}

/// Which features of the network are the descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// The last block's output before the final norm (SD-DINO, GeoAware-SC, DIY-SC); of SAM, which has no final norm, the last
    /// block's output as it is (Probe3D).
    PreNorm,
    /// After the final norm (`x_norm_patchtokens`).
    PostNorm,
    /// After SAM's neck of two convolutions, which its mask decoder reads.
    Neck,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Feature::PreNorm => "pre_norm",
            Feature::PostNorm => "post_norm",
            Feature::Neck => "neck",
        })
    }
}

/// How weights lie in the files, and what the network is computed in. Descriptors are given in single precision by all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision.
    Fp32,
    /// Stored in half precision, computed in single precision.
    Fp16Storage,
    /// Stored and computed in half precision, for CUDA; positions and statistics of norms in single precision.
    Fp16,
    /// The blocks' products in 8-bit integers, for CPUs; everything else in single precision.
    Int8,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::Fp32 => "fp32",
            Precision::Fp16Storage => "fp16_storage",
            Precision::Fp16 => "fp16",
            Precision::Int8 => "int8",
        })
    }
}

/// How the network was adapted to correspondence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Adaptation {
    /// Training-free: the weights are the checkpoint's.
    None {},
    /// The last blocks were trained.
    Finetune {
        /// How many.
        blocks: usize,
    },
    /// Low-rank updates were trained and merged.
    Lora {
        /// The updates' rank.
        rank: usize,
        /// Their scale is alpha / rank.
        alpha: f32,
        /// The products they were added to.
        targets: Vec<LoraTarget>,
    },
    /// A small network over the frozen network's descriptors was trained; the head ends with it.
    Adapter {
        /// What it is made of.
        architecture: AdapterKind,
        /// Channels inside it.
        width: usize,
    },
}

/// What an adapter is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AdapterKind {
    /// One residual bottleneck block with group norms (GeoAware-SC, DIY-SC).
    Bottleneck,
}

/// The part of the descriptors that only tells where in the image a token lies, taken out of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Debias {
    /// How many directions were taken out.
    pub directions: usize,
    /// Side in pixels of the black image that they were found on; at other sides they are an approximation.
    pub resolution: u32,
}

/// A product that a LoRA update was added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LoraTarget {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// The attention's output.
    Proj,
    /// Both products of the MLP.
    Mlp,
}

/// Where the weights come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The checkpoint's file name, or how it was made.
    pub checkpoint: String,
    /// The checkpoint's SHA-256, where there is a file.
    pub checkpoint_sha256: Option<String>,
    /// Licence of the weights, as an SPDX expression.
    pub licence: String,
    /// The data they were adapted on.
    pub dataset: Option<String>,
    /// The recipe they were adapted with.
    pub recipe: Option<String>,
    /// The seed of whatever was random.
    pub seed: Option<u64>,
    /// Where the adapter's weights come from, where there is one.
    #[serde(default)]
    pub adapter: Option<AdapterProvenance>,
    /// The program that wrote the bundle, with its version.
    pub made_by: String,
}

/// Where an adapter's weights come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AdapterProvenance {
    /// Its file's name.
    pub file: String,
    /// Its file's SHA-256.
    pub sha256: String,
    /// Its licence, as an SPDX expression, where it is known.
    pub licence: Option<String>,
}

/// One measured number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// Data and split.
    pub dataset: String,
    /// The metric with everything that tells it from its kin, say `per-point PCK@0.10`.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// The command that measured it.
    pub command: String,
}

/// A file's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FileInfo {
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
}

impl Manifest {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first rule that is broken, as a sentence with the field in front.
    pub fn check(&self) -> Result<(), String> {
        let must = |holds: bool, rule: String| if holds { Ok(()) } else { Err(rule) };
        must(self.schema == SCHEMA, format!("schema: {} where this program reads {SCHEMA}", self.schema))?;
        must(is_id(&self.id), format!("id: {:?} is not made of a-z, 0-9, '-', '_' and '.'", self.id))?;
        let BackboneInfo { patch, width, depth, heads, .. } = self.backbone;
        must(patch > 0 && width > 0 && depth > 0 && heads > 0, "backbone: a size is zero".into())?;
        must(self.split <= depth, format!("split: {} of {depth} blocks", self.split))?;
        must(
            (1..=MAX_CHANNELS).contains(&self.channels),
            format!("channels: {} is not in 1..={MAX_CHANNELS}", self.channels),
        )?;
        if let Some(Debias { directions, .. }) = self.debias {
            let fits = (1..self.channels).contains(&directions);
            must(fits, format!("debias: {directions} directions of {} channels", self.channels))?;
        }
        let sane = |values: [f32; 3]| values.iter().all(|value| value.is_finite());
        let Normalisation { mean, std } = self.normalisation;
        must(
            sane(mean) && sane(std) && std.iter().all(|std| *std > 0.0),
            "normalisation: mean or std is no such".into(),
        )?;
        must(!self.resolutions.is_empty(), "resolutions: none is offered".into())?;
        must(self.resolutions.is_sorted_by(|a, b| a < b), "resolutions: not ascending".into())?;
        for side in &self.resolutions {
            let fits = *side > 0 && *side <= MAX_RESOLUTION && side.is_multiple_of(patch);
            must(fits, format!("resolutions: {side} is not a multiple of the patch, {patch}, up to {MAX_RESOLUTION}"))?;
        }
        must(
            self.resolutions.contains(&self.default_resolution),
            format!("default_resolution: {} is not offered", self.default_resolution),
        )?;
        for name in [BACKBONE, HEAD] {
            must(self.files.contains_key(name), format!("files: {name} is not listed"))?;
        }
        for name in self.files.keys() {
            must(is_plain(name), format!("files: {name:?} is not a plain file name"))?;
            // what a backbone is told by are the files whose names begin so (`Bundle::backbone_key`)
            let known = name.starts_with("backbone.") || name.starts_with("head.");
            must(known, format!("files: {name:?} begins neither with backbone. nor with head."))?;
        }
        Ok(())
    }
}

/// Ids stand in paths of the file system and of the API.
fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.len() <= 100 && id.bytes().all(plain) && !id.starts_with('.')
}
