//! The families of networks, and what each can do: its sizes, how its checkpoints are read, and its two graphs.

use crate::{
    Error, Source, Weights,
    checkpoint::Checkpoint,
    dinov2, dinov3,
    onnx::{GraphBuilder, Value},
    sam,
};
use homolog_core::bundle::{BackboneInfo, Feature};
use std::collections::BTreeMap;

/// Families by the code that reads and emits them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Family {
    /// facebookresearch/dinov2.
    DinoV2(dinov2::Config),
    /// facebookresearch/dinov3.
    DinoV3(dinov3::Config),
    /// The image encoder of facebookresearch/segment-anything.
    Sam(sam::Config),
}

/// The MLP of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mlp {
    /// Two products with an exact GELU between them.
    Gelu,
    /// `w3 · (silu(w1 · x) ⊙ (w2 · x))`: Shazeer, "GLU variants improve Transformer", 2020.
    SwiGlu,
}

impl Family {
    /// The family's name in manifests.
    pub fn name(&self) -> &'static str {
        match self {
            Family::DinoV2(_) => "dinov2",
            Family::DinoV3(_) => "dinov3",
            Family::Sam(_) => "sam",
        }
    }

    /// What a manifest says of the network called `name`.
    pub fn info(&self, name: &str) -> BackboneInfo {
        let (name, family) = (name.to_owned(), self.name().to_owned());
        match *self {
            Family::DinoV2(dinov2::Config { patch, width, depth, heads, registers, .. }) => {
                BackboneInfo { name, family, patch, width, depth, heads, registers }
            }
            Family::DinoV3(dinov3::Config { patch, width, depth, heads, registers, .. }) => {
                BackboneInfo { name, family, patch, width, depth, heads, registers }
            }
            Family::Sam(sam::Config { patch, width, depth, heads, .. }) => {
                BackboneInfo { name, family, patch, width, depth, heads, registers: 0 }
            }
        }
    }

    /// Tokens before the patches.
    pub fn prefix(&self) -> usize {
        match self {
            Family::DinoV2(config) => config.prefix(),
            Family::DinoV3(config) => config.prefix(),
            Family::Sam(_) => 0,
        }
    }

    /// The features that can be descriptors.
    pub fn features(&self) -> &'static [Feature] {
        match self {
            Family::DinoV2(_) => &[Feature::PreNorm, Feature::PostNorm],
            Family::DinoV3(_) => &[Feature::PostNorm, Feature::PreNorm],
            Family::Sam(_) => &[Feature::PreNorm, Feature::Neck],
        }
    }

    /// Channels of a descriptor.
    pub fn channels(&self, feature: Feature) -> usize {
        match self {
            Family::DinoV2(config) => config.width,
            Family::DinoV3(config) => config.width,
            Family::Sam(config) if feature == Feature::Neck => config.neck,
            Family::Sam(config) => config.width,
        }
    }

    /// # Errors
    /// [`Error::Option`] when the sizes contradict each other.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Family::DinoV2(config) => config.check(),
            Family::DinoV3(config) => config.check(),
            Family::Sam(config) => config.check(),
        }
    }

    /// Names and shapes of the original release's checkpoint.
    pub fn original_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        match self {
            Family::DinoV2(config) => dinov2::original_shapes(config),
            Family::DinoV3(config) => dinov3::original_shapes(config),
            Family::Sam(config) => sam::original_shapes(config),
        }
    }

    /// Where each weight lies in the files on Hugging Face, by our names.
    pub(crate) fn hub(&self) -> BTreeMap<String, Source> {
        match self {
            Family::DinoV2(config) => dinov2::hub(config),
            Family::DinoV3(config) => dinov3::hub(config),
            Family::Sam(config) => sam::hub(config),
        }
    }

    /// Finds out which naming the checkpoint uses and checks that every tensor of `network` is there.
    ///
    /// # Errors
    /// [`Error::UnknownNaming`], [`Error::Mismatch`].
    pub fn resolve<'a>(&self, checkpoint: &'a Checkpoint, network: &str) -> Result<Weights<'a>, Error> {
        match self {
            Family::DinoV2(config) => dinov2::resolve(checkpoint, config, network),
            Family::DinoV3(config) => dinov3::resolve(checkpoint, config, network),
            Family::Sam(config) => sam::resolve(checkpoint, config, network),
        }
    }

    /// Emits `image [batch, 3, height, width]` → `tokens [batch, tokens, width]` after the first `split` blocks.
    ///
    /// # Errors
    /// Whatever reading a weight or writing the files meets.
    pub fn backbone(&self, graph: &mut GraphBuilder, weights: &Weights, split: usize) -> Result<(), Error> {
        match self {
            Family::DinoV2(config) => dinov2::backbone(graph, weights, config, split),
            Family::DinoV3(config) => dinov3::backbone(graph, weights, config, split),
            Family::Sam(config) => sam::backbone(graph, weights, config, split),
        }
    }

    /// Emits `tokens [batch, tokens, width]` and `grid [2]` (h, w) → descriptors `[batch, h, w, channels]`, which it returns:
    /// what comes after them ([`crate::Adapter`], [`crate::PositionBasis`]) is the same for all families.
    ///
    /// # Errors
    /// Whatever reading a weight or writing the files meets.
    pub fn head(
        &self,
        graph: &mut GraphBuilder,
        weights: &Weights,
        split: usize,
        feature: Feature,
    ) -> Result<Value, Error> {
        match self {
            Family::DinoV2(config) => dinov2::head(graph, weights, config, split, feature),
            Family::DinoV3(config) => dinov3::head(graph, weights, config, split, feature),
            Family::Sam(config) => sam::head(graph, weights, config, split, feature),
        }
    }

    /// Emits both graphs as one, to be trained as one: `image [batch, 3, height, width]` and `grid [2]` → descriptors
    /// `[batch, h, w, channels]`.
    ///
    /// # Errors
    /// [`Error::Option`] for a family that is trained from its tokens only; whatever reading a weight or writing the files meets.
    pub fn whole(&self, graph: &mut GraphBuilder, weights: &Weights, feature: Feature) -> Result<Value, Error> {
        match self {
            Family::DinoV2(config) => dinov2::whole(graph, weights, config, feature),
            Family::DinoV3(_) | Family::Sam(_) => {
                let reason = format!("a whole network of the family {} is not trained, only its blocks", self.name());
                Err(Error::Option { field: "network", reason })
            }
        }
    }
}
