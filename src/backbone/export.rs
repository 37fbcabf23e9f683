//! Checkpoint in, bundle folder out.

use crate::{
    Error, Weights,
    catalog::Network,
    checkpoint::Checkpoint,
    onnx::{GraphBuilder, Storage},
};
use homolog_core::{
    bundle::{self, Adaptation, Feature, Manifest, Precision, Provenance, SCHEMA},
    features::Sampling,
    geometry::FitMode,
    image::{Interpolation, Normalisation},
    matching::Matcher,
};
use std::{cell::RefCell, collections::BTreeMap, path::Path};

/// What a bundle is to be, beside its weights.
#[derive(Clone, Debug)]
pub struct Options {
    /// Blocks in the backbone part; by default all but four.
    pub split: Option<usize>,
    /// Which features are the descriptors.
    pub feature: Feature,
    /// How weights are stored.
    pub storage: Storage,
    /// How images are fitted.
    pub fit: FitMode,
    /// Sides offered, in pixels; none: half, about seven eighths of, and all of the network's own resolution.
    pub resolutions: Vec<u32>,
    /// The default side; by default the network's own resolution where offered, else the largest.
    pub default_resolution: Option<u32>,
    /// What a person reads who chooses a model.
    pub description: String,
    /// Where the weights come from.
    pub provenance: Provenance,
}

/// Steps of an export, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Weights of the backbone part are being written.
    Backbone,
    /// Weights of the head are being written.
    Head,
    /// A weight was read, and is written as the graph takes it.
    Weight {
        /// Weights read so far.
        done: usize,
        /// Weights there are; not every feature needs all of them.
        total: usize,
    },
    /// Files are being hashed.
    Digests,
}

/// Blocks that a head has by default: what light fine-tuning changes at most.
const HEAD_BLOCKS: usize = 4;

/// Writes the bundle of `network` with the weights of `checkpoint` to `folder`, whose name becomes its id. The folder appears
/// whole or not at all.
///
/// # Errors
/// [`Error::Exists`]; [`Error::Option`]; [`Error::Mismatch`] and its kin when the checkpoint is another network's;
/// [`Error::NotFinite`]; [`Error::Io`].
pub fn export(
    network: &Network,
    checkpoint: &Checkpoint,
    folder: &Path,
    options: &Options,
    progress: impl FnMut(Step),
) -> Result<Manifest, Error> {
    if folder.exists() {
        return Err(Error::Exists(folder.into()));
    }
    let id = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let family = network.family;
    family.check()?;
    if !family.features().contains(&options.feature) {
        let reason = format!("{:?} is none of {:?}, which {} has", options.feature, family.features(), network.name);
        return Err(Error::Option { field: "feature", reason });
    }
    let mut manifest = manifest(id, network, options);
    // The service's own rules, before any byte is written; the files are not there yet.
    manifest.files = placeholders();
    manifest.check().map_err(|reason| Error::Option { field: "bundle", reason })?;
    let progress = RefCell::new(progress);
    let tell = |step| progress.borrow_mut()(step);
    let weights: Weights = family.resolve(checkpoint, network.name)?;
    let weights = weights.watched(|done, total| tell(Step::Weight { done, total }));

    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if parent.exists() && !parent.is_dir() {
        return Err(Error::Option { field: "out", reason: format!("{} is not a folder", parent.display()) });
    }
    std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
    let unfinished = Unfinished(parent.join(format!(".{}.unfinished-{}", manifest.id, std::process::id())));
    std::fs::create_dir(&unfinished.0).map_err(Error::io(&unfinished.0))?;

    tell(Step::Backbone);
    let mut graph = GraphBuilder::create(&unfinished.0, "backbone", options.storage)?;
    family.backbone(&mut graph, &weights, manifest.split)?;
    graph.finish()?;
    tell(Step::Head);
    let mut graph = GraphBuilder::create(&unfinished.0, "head", options.storage)?;
    family.head(&mut graph, &weights, manifest.split, options.feature)?;
    graph.finish()?;
    tell(Step::Digests);
    manifest.files = digests(&unfinished.0)?;

    let path = unfinished.0.join(bundle::MANIFEST);
    let json = serde_json::to_string_pretty(&manifest)
        .map_err(|error| Error::Io { path: path.clone(), source: error.into() })?;
    std::fs::write(&path, json + "\n").map_err(Error::io(&path))?;
    std::fs::rename(&unfinished.0, folder).map_err(Error::io(folder))?;
    Ok(manifest)
}

fn manifest(id: String, network: &Network, options: &Options) -> Manifest {
    let backbone = network.family.info(network.name);
    let mut resolutions = options.resolutions.clone();
    if resolutions.is_empty() {
        let multiple = |side: u32| side / backbone.patch * backbone.patch;
        resolutions = vec![multiple(network.resolution / 2), multiple(network.resolution * 7 / 8), network.resolution];
    }
    resolutions.sort_unstable();
    resolutions.dedup();
    let largest = resolutions.last().copied().unwrap_or(network.resolution);
    let usual = if resolutions.contains(&network.resolution) { network.resolution } else { largest };
    Manifest {
        schema: SCHEMA,
        id,
        description: options.description.clone(),
        split: options.split.unwrap_or(backbone.depth.saturating_sub(HEAD_BLOCKS)),
        backbone,
        feature: options.feature,
        channels: network.family.channels(options.feature),
        precision: match options.storage {
            Storage::Fp32 => Precision::Fp32,
            Storage::Fp16 => Precision::Fp16Storage,
        },
        fit: options.fit,
        interpolation: Interpolation::Bicubic,
        normalisation: Normalisation::IMAGENET,
        default_resolution: options.default_resolution.unwrap_or(usual),
        resolutions,
        matcher: Matcher::default(),
        sampling: Sampling::Bilinear,
        adaptation: Adaptation::None {},
        provenance: options.provenance.clone(),
        results: Vec::new(),
        files: BTreeMap::new(),
    }
}

fn placeholders() -> BTreeMap<String, bundle::FileInfo> {
    let empty = || bundle::FileInfo { sha256: String::new(), bytes: 0 };
    [bundle::BACKBONE, bundle::HEAD].map(|name| (name.to_owned(), empty())).into()
}

fn digests(folder: &Path) -> Result<BTreeMap<String, bundle::FileInfo>, Error> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        files.insert(name, bundle::digest_file(&path).map_err(Error::io(&path))?);
    }
    Ok(files)
}

/// A folder that is removed when the export does not come to its end.
struct Unfinished(std::path::PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove; a failure leaves a hidden folder, which no scan reads.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
