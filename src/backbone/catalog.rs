//! The networks known by name. A further network of a known family is one more entry here.

use crate::{Error, Family, Mlp, dinov2, dinov3};

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
    /// Where the official weights lie; `None` for a network without any, or whose owner asks for consent first.
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
        mlp: Mlp::Gelu,
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

/// All networks.
pub const NETWORKS: &[Network] = &[
    dinov2("dinov2-vits14", VIT_S, 0, concat!(base!(), "dinov2_vits14/dinov2_vits14_pretrain.pth")),
    dinov2("dinov2-vits14-reg4", VIT_S, 4, concat!(base!(), "dinov2_vits14/dinov2_vits14_reg4_pretrain.pth")),
    dinov2("dinov2-vitb14", VIT_B, 0, concat!(base!(), "dinov2_vitb14/dinov2_vitb14_pretrain.pth")),
    dinov2("dinov2-vitb14-reg4", VIT_B, 4, concat!(base!(), "dinov2_vitb14/dinov2_vitb14_reg4_pretrain.pth")),
    dinov2("dinov2-vitl14", VIT_L, 0, concat!(base!(), "dinov2_vitl14/dinov2_vitl14_pretrain.pth")),
    dinov2("dinov2-vitl14-reg4", VIT_L, 4, concat!(base!(), "dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth")),
    dinov2("dinov2-vitg14", VIT_G, 0, concat!(base!(), "dinov2_vitg14/dinov2_vitg14_pretrain.pth")),
    dinov2("dinov2-vitg14-reg4", VIT_G, 4, concat!(base!(), "dinov2_vitg14/dinov2_vitg14_reg4_pretrain.pth")),
    dinov3("dinov3-vits16", VIT_S),
    dinov3("dinov3-vits16plus", Vit { mlp: Mlp::SwiGlu, ..VIT_S }),
    dinov3("dinov3-vitb16", VIT_B),
    dinov3("dinov3-vitl16", VIT_L),
    DEMO,
];

/// Sizes that the two families share.
#[derive(Clone, Copy)]
struct Vit {
    width: usize,
    depth: usize,
    heads: usize,
    mlp: Mlp,
    hidden: usize,
}

const VIT_S: Vit = Vit { width: 384, depth: 12, heads: 6, mlp: Mlp::Gelu, hidden: 1536 };
const VIT_B: Vit = Vit { width: 768, depth: 12, heads: 12, mlp: Mlp::Gelu, hidden: 3072 };
const VIT_L: Vit = Vit { width: 1024, depth: 24, heads: 16, mlp: Mlp::Gelu, hidden: 4096 };
/// DINOv2's. Two thirds of four times the width, as SwiGLU has three products in place of two.
const VIT_G: Vit = Vit { width: 1536, depth: 40, heads: 24, mlp: Mlp::SwiGlu, hidden: 4096 };

/// An official DINOv2 network: patch 14, trained at 518 pixels (`dinov2/hub/backbones.py`).
const fn dinov2(name: &'static str, size: Vit, registers: usize, url: &'static str) -> Network {
    let Vit { width, depth, heads, mlp, hidden } = size;
    let config = dinov2::Config { patch: 14, width, depth, heads, mlp, hidden, registers, position_grid: 37 };
    Network { name, family: Family::DinoV2(config), resolution: 518, licence: "Apache-2.0", url: Some(url) }
}

/// An official DINOv3 network trained on LVD-1689M: patch 16, four storage tokens (`dinov3/hub/backbones.py`).
const fn dinov3(name: &'static str, size: Vit) -> Network {
    let Vit { width, depth, heads, mlp, hidden } = size;
    let config = dinov3::Config { patch: 16, width, depth, heads, mlp, hidden, registers: 4 };
    Network { name, family: Family::DinoV3(config), resolution: 512, licence: "LicenseRef-DINOv3", url: None }
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
