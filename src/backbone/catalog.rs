//! The networks known by name. A further network of a known family is one more entry here.

use crate::{Error, Family, dinov2};
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

/// All networks.
pub const NETWORKS: &[Network] = &[
    official(
        "dinov2-vits14",
        (384, 12, 6, 0),
        concat!(base!(), "dinov2_vits14/dinov2_vits14_pretrain.pth"),
        "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
    ),
    official(
        "dinov2-vits14-reg4",
        (384, 12, 6, 4),
        concat!(base!(), "dinov2_vits14/dinov2_vits14_reg4_pretrain.pth"),
        "f433177089a681826f849f194ece3bb48f4d63fb38d32fc837e3dc7a4e5641fb",
    ),
    official(
        "dinov2-vitb14",
        (768, 12, 12, 0),
        concat!(base!(), "dinov2_vitb14/dinov2_vitb14_pretrain.pth"),
        "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
    ),
    official(
        "dinov2-vitb14-reg4",
        (768, 12, 12, 4),
        concat!(base!(), "dinov2_vitb14/dinov2_vitb14_reg4_pretrain.pth"),
        "73182a088cf94833c94b1666d1c99e02fe87e2007bff57b564fb6206e25dba71",
    ),
    official(
        "dinov2-vitl14",
        (1024, 24, 16, 0),
        concat!(base!(), "dinov2_vitl14/dinov2_vitl14_pretrain.pth"),
        "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    ),
    official(
        "dinov2-vitl14-reg4",
        (1024, 24, 16, 4),
        concat!(base!(), "dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth"),
        "36e4deffbaef061a2576705b0c36f93621e2ae20bf6274694821b0b492551b51",
    ),
    DEMO,
];

/// An official DINOv2 network: patch 14, MLP of four times the width, trained at 518 pixels. The release names no digests;
/// these are what several public projects found, each by itself, in the files of that address.
const fn official(
    name: &'static str,
    (width, depth, heads, registers): (usize, usize, usize, usize),
    url: &'static str,
    sha256: &'static str,
) -> Network {
    let config = dinov2::Config { patch: 14, width, depth, heads, hidden: 4 * width, registers, position_grid: 37 };
    Network {
        name,
        family: Family::DinoV2(config),
        resolution: 518,
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
