//! Published adapters, told by the digests of their files. A further one is one more entry.

use homolog_core::bundle::Feature;

/// A published adapter: what it was trained on, which its file does not say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublicAdapter {
    /// What a person calls it.
    pub name: &'static str,
    /// Its file's SHA-256.
    pub sha256: &'static str,
    /// The network whose descriptors it takes, by its name in the catalogue.
    pub network: &'static str,
    /// Which of its features.
    pub feature: Feature,
    /// Side of the square input that it was trained and measured at, in pixels.
    pub resolution: u32,
    /// Licence of its weights, as an SPDX expression.
    pub licence: &'static str,
}

/// All of them: odunkel/DIY-SC and odunkel/DIY-SC-torchhub.
pub const PUBLIC_ADAPTERS: &[PublicAdapter] = &[
    diy_sc("DIY-SC", "42e9c8a4d27041af7bb8dc5240ea3e83d47e013b72541dc8c5829368f247e705"),
    diy_sc("DIY-SC, 128 channels", "24479ac3134db6ba411df07d2891ae4d678b95535723167c886e7045ff536ecd"),
    diy_sc("DIY-SC, 384 channels", "66f351699b7d755451833075a64145373c20bdffe589594528bb467a473a4235"),
];

const fn diy_sc(name: &'static str, sha256: &'static str) -> PublicAdapter {
    let (network, feature) = ("dinov2-vitb14", Feature::PreNorm);
    PublicAdapter { name, sha256, network, feature, resolution: 840, licence: "CC0-1.0" }
}

impl PublicAdapter {
    /// The adapter whose file has that SHA-256, in lower-case hexadecimal.
    pub fn find(sha256: &str) -> Option<&'static PublicAdapter> {
        PUBLIC_ADAPTERS.iter().find(|adapter| adapter.sha256 == sha256)
    }
}
