//! The image encoder of SAM: a ViT whose blocks attend within windows, a few to the whole grid, with relative positions in
//! every block and absolute ones before the first; it has no CLS token, no LayerScale and no final norm.
//! Source: facebookresearch/segment-anything, `segment_anything/modeling/image_encoder.py`; Kirillov et al. 2023. The
//! relative positions are those of Li et al., "MViTv2", 2022.

mod attention;
mod graph;
mod naming;
mod position;
mod window;

pub use graph::{backbone, head};
pub(crate) use naming::hub;
pub use naming::{original_shapes, resolve};

use crate::Error;

/// LayerNorm's epsilon throughout the family, the neck's norms included.
pub(crate) const EPSILON: f32 = 1e-6;

/// Sizes of one image encoder.
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
    /// Channels inside the MLP.
    pub hidden: usize,
    /// Tokens on the side of a window of attention.
    pub window: usize,
    /// The blocks, from 0, that attend to the whole grid.
    pub global: &'static [usize],
    /// Side of the square grid that the positions were learned on (64 for the official networks: 1024 / 16).
    pub position_grid: usize,
    /// Channels after the neck.
    pub neck: usize,
}

impl Config {
    /// # Errors
    /// [`Error::Option`] when the sizes contradict each other.
    pub fn check(&self) -> Result<(), Error> {
        let Config { patch, width, depth, heads, hidden, window, global, position_grid, neck } = *self;
        let sizes = [patch as usize, width, depth, heads, hidden, window, position_grid, neck];
        let divided = heads > 0 && width.is_multiple_of(heads);
        if sizes.contains(&0) || !divided || global.iter().any(|block| *block >= depth) {
            let reason =
                format!("{self:?} has a zero size, a width that its heads do not divide or a block it has not");
            return Err(Error::Option { field: "network", reason });
        }
        Ok(())
    }

    /// Channels of a head.
    fn head(&self) -> usize {
        self.width / self.heads
    }

    /// Whether a block attends to the whole grid.
    fn is_global(&self, block: usize) -> bool {
        self.global.contains(&block)
    }

    /// Rows of a block's tables of relative positions: one for every difference of two coordinates.
    fn distances(&self, block: usize) -> usize {
        2 * if self.is_global(block) { self.position_grid } else { self.window } - 1
    }
}
