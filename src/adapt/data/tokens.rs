//! The tokens of the frozen blocks, computed once and kept on disk for this run and later ones.
//!
//! A file holds the tokens of one view under a key that says all that they depend on. It appears whole or not at all, is checked
//! before its first use, and is computed again if it is damaged, which is said.

mod cache;
mod entry;
mod room;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use homolog_core::bundle::{digest_file, hex};
use homolog_core::features::Dtype;
use homolog_core::geometry::FitMode;
use sha2::{Digest, Sha256};

use crate::Error;
pub use cache::TokenCache;
use entry::Expected;
pub use room::free_space;

/// What the frozen blocks make of an image: `[tokens, width]`, row-major, those of class and registers included.
#[derive(Clone, Debug, PartialEq)]
pub struct Tokens {
    /// How many there are and how many numbers each has.
    pub shape: [usize; 2],
    /// All numbers.
    pub data: Vec<f32>,
}

/// Whoever runs the frozen blocks.
pub trait TokenSource: Send + Sync {
    /// The tokens of an image, or of the picture mirrored, which is not the same as mirrored tokens: the position embedding stays.
    ///
    /// # Errors
    /// Whatever reading or running meets.
    fn tokens(&self, image: &Path, flipped: bool) -> Result<Tokens, Error>;
}

/// What the tokens of an image depend on beside the image, and how they are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenSpec {
    /// Digest of the frozen weights, say [`Bundle::backbone_key`](homolog_core::bundle::Bundle::backbone_key).
    pub backbone: String,
    /// How many blocks are frozen.
    pub blocks: usize,
    /// Side of the network's canvas, px.
    pub resolution: u32,
    /// How an image is brought there.
    pub fit: FitMode,
    /// Tokens of an image and their width.
    pub shape: [usize; 2],
    /// Half precision takes half the room and rounds each number by up to 1 in 2,048.
    pub dtype: Dtype,
}

/// Where tokens are kept, and how they are computed.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheSettings {
    /// The folder, which any number of runs may use at the same time.
    pub folder: PathBuf,
    /// Most bytes that the files in it take together.
    pub bound: u64,
    /// Threads that ask the source at the same time, at least 1. A second one reads pictures while the first computes.
    pub callers: usize,
}

/// How far [`TokenCache::prepare`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Views that are ready.
    pub done: usize,
    /// All views.
    pub total: usize,
}

/// What [`TokenCache::prepare`] found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Views that were there.
    pub reused: usize,
    /// Views that were computed.
    pub computed: usize,
    /// Files that no run used and that made room.
    pub removed: usize,
}

/// What a set of views takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Views that are there.
    pub present: usize,
    /// Views that are to be computed.
    pub missing: usize,
    /// Bytes of a view.
    pub each: u64,
}

/// Whoever is told what was wrong with the cache and has been made good.
pub type Notice = Box<dyn Fn(&str) + Send + Sync>;

impl TokenSpec {
    /// The key of a view of the image with this digest.
    fn key(&self, image: &str, flipped: bool) -> String {
        let TokenSpec { backbone, blocks, resolution, fit, shape: [tokens, width], dtype } = self;
        let text = format!(
            "tokens 1\n{backbone}\n{blocks}\n{image}\n{resolution}\n{fit}\n{flipped}\n{tokens}\n{width}\n{dtype}\n"
        );
        hex(&Sha256::digest(text))
    }

    /// What the views take, of which those in the folder are there, without writing anything.
    ///
    /// # Errors
    /// [`Error::File`] for an image that cannot be read.
    pub fn cost<'a>(&self, folder: &Path, views: impl IntoIterator<Item = (&'a Path, bool)>) -> Result<Cost, Error> {
        let mut cost = Cost { each: entry::most_bytes(self.shape, self.dtype), ..Cost::default() };
        for (_, _, key) in keys(self, views)? {
            match folder.join(format!("{key}.safetensors")).is_file() {
                true => cost.present += 1,
                false => cost.missing += 1,
            }
        }
        Ok(cost)
    }

    fn expected<'a>(&self, key: &'a str) -> Expected<'a> {
        Expected { key, shape: self.shape, dtype: self.dtype }
    }
}

/// Views with their keys; each image is read once.
fn keys<'a>(
    spec: &TokenSpec,
    views: impl IntoIterator<Item = (&'a Path, bool)>,
) -> Result<Vec<(&'a Path, bool, String)>, Error> {
    let mut digests: HashMap<&Path, String> = HashMap::new();
    let with_key = |(image, flipped): (&'a Path, bool)| {
        if !digests.contains_key(image) {
            digests.insert(image, digest_file(image).map_err(Error::file(image))?.sha256);
        }
        Ok((image, flipped, spec.key(&digests[image], flipped)))
    };
    views.into_iter().map(with_key).collect()
}
