//! The DINOv2 family: a ViT with LayerScale, learned position embeddings, register tokens in the `reg4` variants, and SwiGLU in ViT-g.
//! Source: facebookresearch/dinov2, `dinov2/models/vision_transformer.py`; Oquab et al. 2023, Darcet et al. 2023.

mod graph;
mod naming;
mod position;

pub use graph::{backbone, head, whole};
pub(crate) use naming::hub;
pub use naming::{original_shapes, resolve};

use crate::{Error, Mlp};

/// LayerNorm's epsilon throughout the family.
pub(crate) const EPSILON: f32 = 1e-6;

/// Sizes of one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Pixels on a patch's side.
    pub patch: u32,
    /// Channels of a token.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads.
    pub heads: usize,
    /// The kind of MLP.
    pub mlp: Mlp,
    /// Channels inside the MLP.
    pub hidden: usize,
    /// Register tokens between CLS and the patches; none in the plain variants.
    pub registers: usize,
    /// Side of the square grid that the position embedding was learned on (37 for the official networks: 518 / 14).
    pub position_grid: usize,
}

impl Config {
    /// Tokens before the patches: CLS and registers.
    pub fn prefix(&self) -> usize {
        1 + self.registers
    }

    /// # Errors
    /// [`Error::Option`] when the sizes contradict each other.
    pub fn check(&self) -> Result<(), Error> {
        let sizes = [self.patch as usize, self.width, self.depth, self.heads, self.hidden, self.position_grid];
        if sizes.contains(&0) || !self.width.is_multiple_of(self.heads) {
            let reason = format!("{self:?} has a zero size or a width that its heads do not divide");
            return Err(Error::Option { field: "network", reason });
        }
        Ok(())
    }
}
