//! `homolog-train verify`: a bundle's files, its graphs at every resolution on every provider, and, by option, its descriptors
//! against another implementation's or another bundle's.

mod agreement;
mod descriptors;
mod golden;
mod runs;
mod table;

pub use agreement::{Agreement, Pck};
pub use descriptors::{Difference, relative_error};
pub use runs::{Absent, Row};

use crate::Error;
use clap::Args;
use golden::Golden;
use homolog_core::bundle::{Bundle, Manifest, Precision};
use homolog_engine::ProviderChoice;
use runs::Runs;
pub(crate) use runs::peak_rss_mib;
use serde::Serialize;
use serde_json::{Value, json};
use std::{num::NonZeroUsize, path::PathBuf};

/// Checks a bundle.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// The bundle folder.
    pub bundle: PathBuf,
    /// A bundle of the same network, say in another precision: descriptors of a drawn picture are compared with its own on the
    /// first provider. Without it they are compared across providers alone.
    #[arg(long, conflicts_with = "golden")]
    pub against: Option<PathBuf>,
    /// PF-WILLOW's folder, with its photos and its list (test_pairs.csv or pf_willow_pairs.csv): how many keypoints both bundles
    /// match alike, and the PCK of both.
    #[arg(long, requires = "against")]
    pub willow: Option<PathBuf>,
    /// So many of its pairs, spread evenly [default: all].
    #[arg(long, requires = "willow")]
    pub pairs: Option<NonZeroUsize>,
    /// Tensors `input` [1, 3, H, W] and `prenorm`, `postnorm` or `neck` [1, h, w, C] of another implementation (safetensors): the
    /// descriptors are compared with them.
    #[arg(long)]
    pub golden: Option<PathBuf>,
    /// The largest relative error ‖ours − theirs‖ / ‖theirs‖ to the golden tensors that passes [default: 1e-4 for fp32, 1e-2 for
    /// half precision, 1e-1 for int8].
    #[arg(long, requires = "golden")]
    pub tolerance: Option<f64>,
    /// What to run on: auto, cpu or cuda [default: the CPU, and CUDA where it can be had].
    #[arg(long)]
    pub provider: Option<ProviderChoice>,
    /// Threads of the session [default: the cores there are].
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Timed runs after one to warm up; the median is shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What was found; [`Display`](std::fmt::Display) is a table.
#[derive(Debug, Serialize)]
pub struct Report {
    /// One for each bundle, provider and input, in the order of the runs.
    pub rows: Vec<Row>,
    /// What their errors and cosines are against, where there was something to compare with.
    pub against: Option<String>,
    /// Providers that were to be tried and are not to be had here.
    pub absent: Vec<Absent>,
    /// Matches on PF-WILLOW, where they were asked for.
    pub agreement: Option<Agreement>,
}

/// Runs `verify`.
///
/// # Errors
/// A bundle that is refused, a graph that does not run, descriptors that are not finite or too far from the golden ones; two
/// bundles whose descriptors are of different things.
pub fn run(arguments: &VerifyArgs) -> Result<Report, Error> {
    let bundle = Bundle::open(&arguments.bundle)?;
    let mut runs = Runs::new(arguments);
    if let Some(path) = &arguments.golden {
        let golden = Golden::read(path, bundle.manifest())?;
        let tolerance = arguments.tolerance.unwrap_or_else(|| usual_tolerance(bundle.manifest().precision));
        runs.against_golden(&bundle, &golden, tolerance)?;
        return Ok(runs.report(None));
    }
    let Some(path) = &arguments.against else {
        runs.at_sides(&bundle, &bundle.manifest().resolutions)?;
        return Ok(runs.report(None));
    };
    let other = Bundle::open(path)?;
    let sides = common_sides(bundle.manifest(), other.manifest())?;
    // The other one first: the first run is what all later ones are compared with.
    runs.at_sides(&other, &sides)?;
    runs.at_sides(&bundle, &sides)?;
    let agreement = match &arguments.willow {
        Some(folder) => Some(agreement::on_willow(&bundle, &other, &sides, folder, arguments)?),
        None => None,
    };
    Ok(runs.report(agreement))
}

fn usual_tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::Fp32 => 1e-4,
        Precision::Fp16Storage | Precision::Fp16 => 1e-2,
        Precision::Int8 => 1e-1,
    }
}

/// The sides that both offer, where their descriptors are of the same thing.
fn common_sides(ours: &Manifest, theirs: &Manifest) -> Result<Vec<u32>, Error> {
    let refuse = |what: String| Err(Error::Failed(format!("{} and {} cannot be compared: {what}", ours.id, theirs.id)));
    let differ = |what: &str, ours: String, theirs: String| refuse(format!("{what} {ours} and {theirs}"));
    if ours.backbone != theirs.backbone {
        return differ("their networks are", ours.backbone.name.clone(), theirs.backbone.name.clone());
    }
    if (ours.feature, ours.channels) != (theirs.feature, theirs.channels) {
        let shown = |of: &Manifest| format!("{} of {} channels", of.feature, of.channels);
        return differ("their descriptors are", shown(ours), shown(theirs));
    }
    let sides: Vec<u32> = ours.resolutions.iter().copied().filter(|side| theirs.resolutions.contains(side)).collect();
    if let Some((field, ours, theirs)) = first_difference(ours, theirs) {
        return refuse(format!("they differ in more than precision, {field} is {ours} and {theirs}"));
    }
    match sides.first() {
        None => refuse("they have no resolution in common".into()),
        Some(side) if ours.preparation(*side) != theirs.preparation(*side) => {
            refuse("they fit or normalise photos differently".into())
        }
        Some(_) => Ok(sides),
    }
}

/// The first field of two manifests that makes other descriptors of a photo, with both values: one that two precisions of a bundle
/// have in common.
fn first_difference(ours: &Manifest, theirs: &Manifest) -> Option<(&'static str, Value, Value)> {
    let fields = |of: &Manifest| {
        let weights = &of.provenance;
        // A file may be renamed: where there is a digest, the name says nothing.
        let name = weights.checkpoint_sha256.is_none().then_some(&weights.checkpoint);
        [
            ("provenance.checkpoint_sha256", json!(weights.checkpoint_sha256)),
            ("provenance.checkpoint", json!(name)),
            ("provenance.seed", json!(weights.seed)),
            ("adaptation", json!(of.adaptation)),
            ("provenance.adapter.sha256", json!(weights.adapter.as_ref().map(|adapter| &adapter.sha256))),
            ("debias", json!(of.debias)),
        ]
    };
    let pairs = fields(ours).into_iter().zip(fields(theirs));
    pairs.map(|((field, ours), (_, theirs))| (field, ours, theirs)).find(|(_, ours, theirs)| ours != theirs)
}
