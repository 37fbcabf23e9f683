//! The DINOv3 family: a ViT with LayerScale, storage tokens, rotary positions on the patches and, in some sizes, SwiGLU.
//! Source: facebookresearch/dinov3, `dinov3/models/vision_transformer.py` and `dinov3/hub/backbones.py`; Siméoni et al. 2025.

mod graph;
mod naming;
mod rope;

pub use graph::{backbone, head};
pub(crate) use naming::hub;
pub use naming::{original_shapes, resolve};

use crate::{Error, Mlp};

/// LayerNorm's epsilon throughout the family: the released networks' `layernormbf16`, at any precision.
const EPSILON: f32 = 1e-5;

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
    /// Storage tokens (registers) between CLS and the patches; 4 in the released networks.
    pub registers: usize,
}

impl Config {
    /// Tokens before the patches: CLS and storage tokens.
    pub fn prefix(&self) -> usize {
        1 + self.registers
    }

    /// Periods of the rotary position on each axis: a head's channels are pairs, half of them for h and half for w.
    fn periods(&self) -> usize {
        self.width / self.heads / 4
    }

    /// # Errors
    /// [`Error::Option`] when the sizes contradict each other.
    pub fn check(&self) -> Result<(), Error> {
        let sizes = [self.patch as usize, self.width, self.depth, self.heads, self.hidden, self.registers];
        if sizes.contains(&0) || !self.width.is_multiple_of(4 * self.heads) {
            let reason = format!("{self:?} has a zero size or a width that is no multiple of four channels a head");
            return Err(Error::Option { field: "network", reason });
        }
        Ok(())
    }
}
