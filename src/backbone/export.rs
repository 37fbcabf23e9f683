//! Checkpoint in, bundle folder out.

use crate::{
    Adapter, Error, PositionBasis, Weights,
    catalog::Network,
    checkpoint::Checkpoint,
    onnx::{GraphBuilder, proto::data_type},
};
use homolog_core::{
    bundle::{self, Adaptation, Debias, Feature, Manifest, Precision, Provenance, SCHEMA},
    features::Sampling,
    geometry::FitMode,
    image::{Interpolation, Normalisation},
    matching::Matcher,
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
};

/// What a bundle is to be, beside its weights.
#[derive(Clone, Debug)]
pub struct Options {
    /// Blocks in the backbone part; by default all but four.
    pub split: Option<usize>,
    /// Which features are the descriptors.
    pub feature: Feature,
    /// What the network is computed in.
    pub precision: Precision,
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
    /// A network over the descriptors, to be the head's tail.
    pub adapter: Option<Adapter>,
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
/// Those of [`Draft::write`] and [`Draft::finish`].
pub fn export(
    network: &Network,
    checkpoint: &Checkpoint,
    folder: &Path,
    options: &Options,
    progress: impl FnMut(Step),
) -> Result<Manifest, Error> {
    Draft::write(network, checkpoint, folder, options, progress)?.finish()
}

/// A bundle that is whole, and not yet in its place: it can be run, and its head written once more by what the run showed.
/// Dropped, it leaves nothing.
pub struct Draft<'a> {
    network: &'a Network,
    weights: Weights<'a>,
    options: &'a Options,
    manifest: Manifest,
    unfinished: Unfinished,
    destination: PathBuf,
}

impl<'a> Draft<'a> {
    /// Writes the bundle of `network` with the weights of `checkpoint` into a hidden folder beside `folder`.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::Option`]; [`Error::Mismatch`] and its kin when the checkpoint is another network's;
    /// [`Error::NotFinite`]; [`Error::Io`].
    pub fn write(
        network: &'a Network,
        checkpoint: &'a Checkpoint,
        folder: &Path,
        options: &'a Options,
        progress: impl FnMut(Step) + 'a,
    ) -> Result<Draft<'a>, Error> {
        if folder.exists() {
            return Err(Error::Exists(folder.into()));
        }
        let id = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let family = network.family;
        family.check()?;
        if !family.features().contains(&options.feature) {
            let reason =
                format!("{:?} is none of {:?}, which {} has", options.feature, family.features(), network.name);
            return Err(Error::Option { field: "feature", reason });
        }
        let mut manifest = manifest(id, network, options)?;
        // The service's own rules, before any byte is written; the files are not there yet.
        manifest.files = placeholders();
        manifest.check().map_err(|reason| Error::Option { field: "bundle", reason })?;
        let progress = Rc::new(RefCell::new(progress));
        let heard = progress.clone();
        let tell = move |step| progress.borrow_mut()(step);
        let weights: Weights = family.resolve(checkpoint, network.name)?;
        let weights = weights.watched(move |done, total| heard.borrow_mut()(Step::Weight { done, total }));

        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if parent.exists() && !parent.is_dir() {
            return Err(Error::Option { field: "out", reason: format!("{} is not a folder", parent.display()) });
        }
        let unfinished = Unfinished(parent.join(format!(".{}.unfinished-{}", manifest.id, std::process::id())));
        let mut draft = Draft { network, weights, options, manifest, unfinished, destination: folder.to_path_buf() };
        let inside = draft.folder();
        std::fs::create_dir_all(&inside).map_err(Error::io(&inside))?;

        tell(Step::Backbone);
        let mut graph = GraphBuilder::create(&inside, "backbone", options.precision)?;
        family.backbone(&mut graph, &draft.weights, draft.manifest.split)?;
        graph.finish()?;
        tell(Step::Head);
        draft.write_head(None)?;
        tell(Step::Digests);
        draft.seal()?;
        Ok(draft)
    }

    /// The folder as it stands: a bundle under its own name.
    pub fn folder(&self) -> PathBuf {
        self.unfinished.0.join(&self.manifest.id)
    }

    /// What the manifest says so far.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Writes the head once more, with the directions of `basis` taken out of its descriptors. No session may hold the old one.
    ///
    /// # Errors
    /// Whatever writing meets.
    pub fn debias(&mut self, basis: &PositionBasis) -> Result<(), Error> {
        let [_, directions] = basis.basis().shape[..] else {
            return Err(Error::Option { field: "debias", reason: "the basis is no matrix".into() });
        };
        self.manifest.debias = Some(Debias { directions, resolution: self.manifest.default_resolution });
        self.write_head(Some(basis))?;
        self.seal()
    }

    /// Takes the backbone's files of the bundle in `folder` in place of its own, so that both share one in memory.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn share_backbone(&mut self, folder: &Path, manifest: &Manifest) -> Result<(), Error> {
        for name in manifest.files.keys().filter(|name| name.starts_with("backbone.")) {
            let (from, to) = (folder.join(name), self.folder().join(name));
            std::fs::copy(&from, &to).map_err(Error::io(&to))?;
        }
        self.seal()
    }

    /// Says more in the manifest.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn describe(&mut self, say: impl FnOnce(&mut Manifest)) -> Result<(), Error> {
        say(&mut self.manifest);
        self.seal()
    }

    /// Puts the bundle in its place.
    ///
    /// # Errors
    /// [`Error::Io`], also when something else is there by now.
    pub fn finish(self) -> Result<Manifest, Error> {
        std::fs::rename(self.folder(), &self.destination).map_err(Error::io(&self.destination))?;
        Ok(self.manifest)
    }

    /// Writes the family's head and what comes after it.
    fn write_head(&self, basis: Option<&PositionBasis>) -> Result<(), Error> {
        let Manifest { split, channels, .. } = self.manifest;
        let mut graph = GraphBuilder::create(&self.folder(), "head", self.options.precision)?;
        let mut descriptors = self.network.family.head(&mut graph, &self.weights, split, self.options.feature)?;
        if let Some(adapter) = &self.options.adapter {
            descriptors = adapter.emit(&mut graph, &descriptors)?;
        }
        let mut descriptors = graph.widened(&descriptors);
        if let Some(basis) = basis {
            descriptors = basis.emit(&mut graph, &descriptors);
        }
        let dims = [("batch", -1), ("h", -1), ("w", -1), ("channels", channels as i64)];
        graph.output(descriptors, "descriptors", data_type::FLOAT, &dims);
        graph.finish()
    }

    /// Writes the manifest of the files as they are.
    fn seal(&mut self) -> Result<(), Error> {
        let path = self.folder().join(bundle::MANIFEST);
        self.manifest.files = digests(&self.folder())?;
        let json = serde_json::to_string_pretty(&self.manifest)
            .map_err(|error| Error::Io { path: path.clone(), source: error.into() })?;
        std::fs::write(&path, json + "\n").map_err(Error::io(&path))
    }
}

fn manifest(id: String, network: &Network, options: &Options) -> Result<Manifest, Error> {
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
    let channels = network.family.channels(options.feature);
    let (channels, adaptation) = match &options.adapter {
        None => (channels, Adaptation::None {}),
        Some(adapter) if adapter.input() == channels => (adapter.output(), adapter.adaptation()),
        Some(adapter) => {
            let reason = format!("it takes {} channels, the network's descriptors have {channels}", adapter.input());
            return Err(Error::Option { field: "adapter", reason });
        }
    };
    Ok(Manifest {
        schema: SCHEMA,
        id,
        description: options.description.clone(),
        split: options.split.unwrap_or(backbone.depth.saturating_sub(HEAD_BLOCKS)),
        backbone,
        feature: options.feature,
        channels,
        precision: options.precision,
        fit: options.fit,
        interpolation: Interpolation::Bicubic,
        normalisation: Normalisation::IMAGENET,
        default_resolution: options.default_resolution.unwrap_or(usual),
        resolutions,
        matcher: Matcher::default(),
        sampling: Sampling::Bilinear,
        adaptation,
        debias: None,
        provenance: options.provenance.clone(),
        results: Vec::new(),
        files: BTreeMap::new(),
    })
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
        if name == bundle::MANIFEST {
            continue;
        }
        files.insert(name, bundle::digest_file(&path).map_err(Error::io(&path))?);
    }
    Ok(files)
}

/// A hidden folder that is removed in the end, whatever the end is.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // What was finished has been moved out; a failure leaves a hidden folder, which no scan reads.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
