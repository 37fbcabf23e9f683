//! `homolog-train add`: from a name to a bundle, pull and export in one.

use crate::{
    Error,
    export::{self, BundleArgs, ExportArgs},
    pull::{self, FetchArgs},
};
use clap::Args;
use homolog_backbone::catalog;
use homolog_core::bundle::Manifest;
use std::path::{Path, PathBuf};

/// Downloads a network's official weights and writes its bundle.
#[derive(Args, Debug)]
pub struct AddArgs {
    /// The network, by its name in the catalogue (`homolog-train networks` lists them).
    pub network: String,
    /// A checkpoint that is here already: nothing is downloaded, and the cache is left alone.
    // No conflict with `cache`: a value of HOMOLOG_CACHE counts as given.
    #[arg(long, conflicts_with = "url")]
    pub weights: Option<PathBuf>,
    /// The bundle folder to write; its name becomes the model's id [default: models/NETWORK].
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// What the bundle is to be.
    #[command(flatten)]
    pub bundle: BundleArgs,
    /// How to fetch.
    #[command(flatten)]
    pub fetch: FetchArgs,
}

/// Runs `add`.
///
/// # Errors
/// Those of [`pull::fetch`] and [`export::run`]; a folder that is there already is refused before anything is downloaded.
pub fn run(arguments: AddArgs) -> Result<Manifest, Error> {
    let network = catalog::find(&arguments.network)?;
    let out = arguments.out.unwrap_or_else(|| Path::new("models").join(network.name));
    if out.exists() {
        return Err(homolog_backbone::Error::Exists(out).into());
    }
    let weights = match arguments.weights {
        Some(weights) => weights,
        None => pull::fetch(&network, &arguments.fetch)?,
    };
    let (network, weights) = (arguments.network, Some(weights));
    export::run(&ExportArgs { network, weights, random: None, lora: None, out, bundle: arguments.bundle })
}
