//! The networks known by name. A further network of a known family is one more entry here.

use crate::{Error, Family, Mlp, dinov2, dinov3, sam};
use homolog_core::bundle::Feature;

/// A network that can be exported by its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Network {
    /// The name on the command line and in manifests.
    pub name: &'static str,
    /// The family's sizes.
    pub family: Family,
    /// Side of the square input that the literature uses, in pixels.
    pub resolution: u32,
    /// The features that the literature takes as descriptors; one of [`Family::features`].
    pub feature: Feature,
    /// Licence of the official weights, as an SPDX expression.
    pub licence: &'static str,
    /// Where the official weights come from.
    pub origin: Origin,
}

/// Where a network's official weights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file that anyone may download.
    Url {
        /// Its address; the last part is the file's name.
        url: &'static str,
        /// Its SHA-256 in lower-case hexadecimal, where it is known.
        sha256: Option<&'static str>,
    },
    /// The owner gives the file to those who ask; they name it on the command line.
    Gated {
        /// The pages to ask at.
        ask: &'static [&'static str],
    },
    /// There are none.
    None,
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
    feature: Feature::PostNorm,
    licence: "MIT OR Apache-2.0",
    origin: Origin::None,
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
    dinov2(
        "dinov2-vits14",
        VIT_S,
        0,
        concat!(base!(), "dinov2_vits14/dinov2_vits14_pretrain.pth"),
        Some("b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"),
    ),
    dinov2(
        "dinov2-vits14-reg4",
        VIT_S,
        4,
        concat!(base!(), "dinov2_vits14/dinov2_vits14_reg4_pretrain.pth"),
        Some("f433177089a681826f849f194ece3bb48f4d63fb38d32fc837e3dc7a4e5641fb"),
    ),
    dinov2(
        "dinov2-vitb14",
        VIT_B,
        0,
        concat!(base!(), "dinov2_vitb14/dinov2_vitb14_pretrain.pth"),
        Some("0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"),
    ),
    dinov2(
        "dinov2-vitb14-reg4",
        VIT_B,
        4,
        concat!(base!(), "dinov2_vitb14/dinov2_vitb14_reg4_pretrain.pth"),
        Some("73182a088cf94833c94b1666d1c99e02fe87e2007bff57b564fb6206e25dba71"),
    ),
    dinov2(
        "dinov2-vitl14",
        VIT_L,
        0,
        concat!(base!(), "dinov2_vitl14/dinov2_vitl14_pretrain.pth"),
        Some("d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"),
    ),
    dinov2(
        "dinov2-vitl14-reg4",
        VIT_L,
        4,
        concat!(base!(), "dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth"),
        Some("36e4deffbaef061a2576705b0c36f93621e2ae20bf6274694821b0b492551b51"),
    ),
    dinov2("dinov2-vitg14", VIT_G, 0, concat!(base!(), "dinov2_vitg14/dinov2_vitg14_pretrain.pth"), None),
    dinov2("dinov2-vitg14-reg4", VIT_G, 4, concat!(base!(), "dinov2_vitg14/dinov2_vitg14_reg4_pretrain.pth"), None),
    dinov3("dinov3-vits16", VIT_S),
    dinov3("dinov3-vits16plus", Vit { mlp: Mlp::SwiGlu, ..VIT_S }),
    dinov3("dinov3-vitb16", VIT_B),
    dinov3("dinov3-vitl16", VIT_L),
    sam(
        "sam-vitb16",
        768,
        12,
        12,
        &[2, 5, 8, 11],
        concat!(sam_base!(), "sam_vit_b_01ec64.pth"),
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    sam(
        "sam-vitl16",
        1024,
        24,
        16,
        &[5, 11, 17, 23],
        concat!(sam_base!(), "sam_vit_l_0b3195.pth"),
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    sam(
        "sam-vith16",
        1280,
        32,
        16,
        &[7, 15, 23, 31],
        concat!(sam_base!(), "sam_vit_h_4b8939.pth"),
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
    DEMO,
];

/// Where DINOv3's owner is asked for its weights.
const DINOV3_PAGES: &[&str] = &[
    "https://ai.meta.com/resources/models-and-libraries/dinov3-downloads/",
    "https://huggingface.co/collections/facebook/dinov3-68924841bd6b561778e31009",
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

/// An official DINOv2 network: patch 14, trained at 518 pixels (`dinov2/hub/backbones.py`). The release names no digests;
/// these are what several public projects found, each by itself, in the files of that address.
const fn dinov2(
    name: &'static str,
    size: Vit,
    registers: usize,
    url: &'static str,
    sha256: Option<&'static str>,
) -> Network {
    let Vit { width, depth, heads, mlp, hidden } = size;
    let config = dinov2::Config { patch: 14, width, depth, heads, mlp, hidden, registers, position_grid: 37 };
    Network {
        name,
        family: Family::DinoV2(config),
        resolution: 518,
        feature: Feature::PreNorm,
        licence: "Apache-2.0",
        origin: Origin::Url { url, sha256 },
    }
}

/// An official DINOv3 network trained on LVD-1689M: patch 16, four storage tokens (`dinov3/hub/backbones.py`).
const fn dinov3(name: &'static str, size: Vit) -> Network {
    let Vit { width, depth, heads, mlp, hidden } = size;
    let config = dinov3::Config { patch: 16, width, depth, heads, mlp, hidden, registers: 4 };
    Network {
        name,
        family: Family::DinoV3(config),
        resolution: 512,
        feature: Feature::PostNorm,
        licence: "LicenseRef-DINOv3",
        origin: Origin::Gated { ask: DINOV3_PAGES },
    }
}

/// An official SAM image encoder: patch 16, windows of 14, trained at 1024 pixels (`segment_anything/build_sam.py`). Digests
/// as for DINOv2; the digits in the files' names begin their MD5.
const fn sam(
    name: &'static str,
    width: usize,
    depth: usize,
    heads: usize,
    global: &'static [usize],
    url: &'static str,
    sha256: &'static str,
) -> Network {
    let hidden = 4 * width;
    let config =
        sam::Config { patch: 16, width, depth, heads, hidden, window: 14, global, position_grid: 64, neck: 256 };
    Network {
        name,
        family: Family::Sam(config),
        resolution: 1024,
        feature: Feature::PreNorm,
        licence: "Apache-2.0",
        origin: Origin::Url { url, sha256: Some(sha256) },
    }
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
