//! The families of networks, and what each can do: its sizes, how its checkpoints are read, and its two graphs.

use crate::{
    Error, Weights,
    checkpoint::Checkpoint,
    dinov2,
    onnx::{GraphBuilder, Value},
};
use homolog_core::bundle::{BackboneInfo, Feature};
use std::collections::BTreeMap;

/// Families by the code that reads and emits them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Family {
    /// facebookresearch/dinov2.
    DinoV2(dinov2::Config),
}

impl Family {
    /// The family's name in manifests.
    pub fn name(&self) -> &'static str {
        match self {
            Family::DinoV2(_) => "dinov2",
        }
    }

    /// What a manifest says of the network called `name`.
    pub fn info(&self, name: &str) -> BackboneInfo {
        let (name, family) = (name.to_owned(), self.name().to_owned());
        match *self {
            Family::DinoV2(dinov2::Config { patch, width, depth, heads, registers, .. }) => {
                BackboneInfo { name, family, patch, width, depth, heads, registers }
            }
        }
    }

    /// The features that can be descriptors, the usual one first.
    pub fn features(&self) -> &'static [Feature] {
        match self {
            Family::DinoV2(_) => &[Feature::PreNorm, Feature::PostNorm],
        }
    }

    /// Channels of a descriptor.
    pub fn channels(&self, _feature: Feature) -> usize {
        match self {
            Family::DinoV2(config) => config.width,
        }
    }

    /// # Errors
    /// [`Error::Option`] when the sizes contradict each other.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Family::DinoV2(config) => config.check(),
        }
    }

    /// Names and shapes of the original release's checkpoint.
    pub fn original_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        match self {
            Family::DinoV2(config) => dinov2::original_shapes(config),
        }
    }

    /// Finds out which naming the checkpoint uses and checks that every tensor of `network` is there.
    ///
    /// # Errors
    /// [`Error::UnknownNaming`], [`Error::Mismatch`].
    pub fn resolve<'a>(&self, checkpoint: &'a Checkpoint, network: &str) -> Result<Weights<'a>, Error> {
        match self {
            Family::DinoV2(config) => dinov2::resolve(checkpoint, config, network),
        }
    }

    /// Emits `image [batch, 3, height, width]` → `tokens [batch, tokens, width]` after the first `split` blocks.
    ///
    /// # Errors
    /// Whatever reading a weight or writing the files meets.
    pub fn backbone(&self, graph: &mut GraphBuilder, weights: &Weights, split: usize) -> Result<(), Error> {
        match self {
            Family::DinoV2(config) => dinov2::backbone(graph, weights, config, split),
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
        }
    }
}
