//! `homolog-train pull`: the official weights of a network of the catalogue, in a cache folder.

use crate::{Error, download::Download, progress};
use clap::Args;
use etcetera::BaseStrategy;
use homolog_backbone::catalog::{self, Network, Origin};
use std::{path::PathBuf, time::Duration};

/// Downloads the official weights of a network.
#[derive(Args, Debug)]
pub struct PullArgs {
    /// The network, by its name in the catalogue (`homolog-train networks` lists them).
    pub network: String,
    /// How to fetch.
    #[command(flatten)]
    pub fetch: FetchArgs,
}

/// Where to fetch from and where to keep it.
#[derive(Args, Debug)]
pub struct FetchArgs {
    /// The folder to keep files in, one folder a network [default: homolog/weights in the user's cache folder].
    #[arg(long, env = "HOMOLOG_CACHE")]
    pub cache: Option<PathBuf>,
    /// Another address of the file, say of a mirror.
    #[arg(long)]
    pub url: Option<String>,
    /// Attempts in a row that may fail without bringing anything new, beyond the first.
    #[arg(long, default_value_t = 5)]
    pub retries: u32,
    /// Seconds to wait after the first of them; twice as long after each further one.
    #[arg(long, default_value = "1", value_parser = seconds)]
    pub wait: Duration,
}

/// Runs `pull`; returns the file.
///
/// # Errors
/// [`Error::Backbone`] for an unknown network, and those of [`fetch`].
pub fn run(arguments: &PullArgs) -> Result<PathBuf, Error> {
    fetch(&catalog::find(&arguments.network)?, &arguments.fetch)
}

/// Fetches `network`'s weights, unless they are there already, and returns the file. What is fetched is told on standard
/// error before it is.
///
/// # Errors
/// [`Error::Gated`] or [`Error::NoWeights`] when there is nothing to fetch; [`Error::Url`] when the address ends in no file
/// name; [`Error::NoCache`]; those of [`Download::fetch`].
pub fn fetch(network: &Network, arguments: &FetchArgs) -> Result<PathBuf, Error> {
    let (official, sha256) = match network.origin {
        Origin::Url { url, sha256 } => (Some(url), sha256),
        Origin::Gated { .. } | Origin::None => (None, None),
    };
    let url = match (arguments.url.as_deref().or(official), network.origin) {
        (Some(url), _) => url,
        (None, Origin::Gated { ask }) => {
            return Err(Error::Gated { network: network.name.into(), ask: ask.join(" or ") });
        }
        (None, _) => return Err(Error::NoWeights { network: network.name.into() }),
    };
    let name = file_name(url).ok_or_else(|| Error::Url {
        url: url.into(),
        reason: "it does not end in the name of a file (letters, digits, dots, dashes and underscores)".into(),
    })?;
    let cache = match &arguments.cache {
        Some(cache) => cache.clone(),
        None => etcetera::choose_base_strategy().map_err(|_| Error::NoCache)?.cache_dir().join("homolog/weights"),
    };
    let path = cache.join(network.name).join(name);
    let download = Download { url, path: &path, sha256, retries: arguments.retries, wait: arguments.wait };
    if let Some(found) = download.present()? {
        eprintln!("{}: {} is there already ({})", network.name, path.display(), progress::megabytes(found.bytes));
        return Ok(path);
    }
    eprintln!("{}: licence {}, from {url}", network.name, network.licence);
    let bar = progress::bytes();
    let found = download.fetch(&bar);
    bar.finish_and_clear();
    let found = found?;
    let checked = if sha256.is_some() { "as it must be" } else { "none is known to compare it with" };
    eprintln!("{}: {}, sha256 {} ({checked})", network.name, progress::megabytes(found.bytes), found.sha256);
    Ok(path)
}

/// The last part of an address's path, where it is a plain file name.
fn file_name(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let path = rest.split(['?', '#']).next()?;
    let (_, name) = path.rsplit_once('/')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (!name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)).then_some(name)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text} is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
