//! The networks known by name. A further network of a known family is one more entry here.

use crate::{Error, Family, dinov2, sam};

/// A network that can be exported by its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Network {
    /// The name on the command line and in manifests.
    pub name: &'static str,
    /// The family's sizes.
    pub family: Family,
    /// Side of the square input that the literature uses, in pixels.
    pub resolution: u32,
    /// Licence of the official weights, as an SPDX expression.
    pub licence: &'static str,
    /// Where the official weights lie; `None` for a network without any.
    pub url: Option<&'static str>,
}

/// The small network of the demo bundle: DINOv2's architecture at a size that a repository can hold.
pub const DEMO: Network = Network {
    name: "dinov2-demo14",
    family: Family::DinoV2(dinov2::Config {
        patch: 14,
        width: 192,
        depth: 8,
        heads: 3,
        hidden: 768,
        registers: 0,
        position_grid: 16,
    }),
    resolution: 224,
    licence: "MIT OR Apache-2.0",
    url: None,
};

macro_rules! base {
    () => {
        "https://dl.fbaipublicfiles.com/dinov2/"
    };
}

macro_rules! sam_base {
    () => {
        "https://dl.fbaipublicfiles.com/segment_anything/"
    };
}

/// All networks.
pub const NETWORKS: &[Network] = &[
    official("dinov2-vits14", 384, 12, 6, 0, concat!(base!(), "dinov2_vits14/dinov2_vits14_pretrain.pth")),
    official("dinov2-vits14-reg4", 384, 12, 6, 4, concat!(base!(), "dinov2_vits14/dinov2_vits14_reg4_pretrain.pth")),
    official("dinov2-vitb14", 768, 12, 12, 0, concat!(base!(), "dinov2_vitb14/dinov2_vitb14_pretrain.pth")),
    official("dinov2-vitb14-reg4", 768, 12, 12, 4, concat!(base!(), "dinov2_vitb14/dinov2_vitb14_reg4_pretrain.pth")),
    official("dinov2-vitl14", 1024, 24, 16, 0, concat!(base!(), "dinov2_vitl14/dinov2_vitl14_pretrain.pth")),
    official("dinov2-vitl14-reg4", 1024, 24, 16, 4, concat!(base!(), "dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth")),
    sam("sam-vitb16", 768, 12, 12, &[2, 5, 8, 11], concat!(sam_base!(), "sam_vit_b_01ec64.pth")),
    sam("sam-vitl16", 1024, 24, 16, &[5, 11, 17, 23], concat!(sam_base!(), "sam_vit_l_0b3195.pth")),
    sam("sam-vith16", 1280, 32, 16, &[7, 15, 23, 31], concat!(sam_base!(), "sam_vit_h_4b8939.pth")),
    DEMO,
];

/// An official DINOv2 network: patch 14, MLP of four times the width, trained at 518 pixels.
const fn official(
    name: &'static str,
    width: usize,
    depth: usize,
    heads: usize,
    registers: usize,
    url: &'static str,
) -> Network {
    let config = dinov2::Config { patch: 14, width, depth, heads, hidden: 4 * width, registers, position_grid: 37 };
    Network { name, family: Family::DinoV2(config), resolution: 518, licence: "Apache-2.0", url: Some(url) }
}

/// An official SAM image encoder: patch 16, windows of 14, trained at 1024 pixels (`segment_anything/build_sam.py`).
const fn sam(
    name: &'static str,
    width: usize,
    depth: usize,
    heads: usize,
    global: &'static [usize],
    url: &'static str,
) -> Network {
    let hidden = 4 * width;
    let config =
        sam::Config { patch: 16, width, depth, heads, hidden, window: 14, global, position_grid: 64, neck: 256 };
    Network { name, family: Family::Sam(config), resolution: 1024, licence: "Apache-2.0", url: Some(url) }
}

/// The network of that name.
///
/// # Errors
/// [`Error::UnknownNetwork`], with the names there are.
pub fn find(name: &str) -> Result<Network, Error> {
    NETWORKS.iter().copied().find(|network| network.name == name).ok_or_else(|| Error::UnknownNetwork {
        name: name.into(),
        known: NETWORKS.iter().map(|network| network.name).collect::<Vec<_>>().join(", "),
    })
}
