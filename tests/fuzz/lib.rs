//! What the targets share: files in a folder of this process, and what must hold of a dataset that was read.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use homolog_backbone::Adapter;
use homolog_backbone::checkpoint::Checkpoint;
use homolog_core::matching::Match;
use homolog_eval::pck::{Counts, Settings, score};
use homolog_eval::readers::{Format, ReadOptions};
use homolog_eval::result::PairResult;
use homolog_eval::{Dataset, readers};
use tempfile::TempDir;

/// A picture for datasets whose images must be there.
pub const PICTURE: &[u8] = include_bytes!("../golden/images/rgb.png");

/// A folder of this process. `run.sh` removes the one above it.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a temporary folder")).path()
}

/// Writes a file into [`folder`], in place of the one before it.
pub fn put(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(&path, bytes).expect("a file");
    path
}

/// Writes files that stay the same, the first time.
pub fn put_once(files: &[(&str, &[u8])]) {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        for (name, bytes) in files {
            put(name, bytes);
        }
    });
}

/// The texts of an input that holds several, with an empty line between them.
pub fn texts(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.windows(2).position(|two| two == b"\n\n");
        rest = end.map(|end| &text[end + 2..]);
        Some(end.map_or(text, |end| &text[..end]))
    })
}

/// Reads the dataset in [`folder`]; one that is not refused holds together and can be measured.
pub fn read(format: &Format) {
    let options = ReadOptions { strict: false, check_images: true };
    let Ok(dataset) = readers::read(folder(), format, &options) else { return };
    check(&dataset);
}

fn check(dataset: &Dataset) {
    assert!(!dataset.pairs.is_empty() && dataset.pairs.len() <= dataset.listed);
    assert!(dataset.images.iter().all(|image| image.size.pixels() > 0));
    let all: Vec<usize> = (0..dataset.pairs.len()).collect();
    assert_eq!(dataset.groups(&all).concat().len(), all.len());
    let mut results = Vec::new();
    for pair in &dataset.pairs {
        assert!(pair.source < dataset.images.len() && pair.target < dataset.images.len());
        assert!(pair.category < dataset.categories.len() && !pair.keypoints.is_empty());
        let points = pair.keypoints.iter().flat_map(|keypoint| [keypoint.source, keypoint.target]);
        assert!(points.into_iter().all(|point| point.x.is_finite() && point.y.is_finite()));
        let found = pair.keypoints.iter().map(|keypoint| Match {
            point: keypoint.target,
            similarity: 1.0,
            confidence: 1.0,
            ratio: None,
            cycle_error: None,
            candidates: Vec::new(),
        });
        results.push(PairResult::new(dataset, pair, &found.collect::<Vec<_>>()));
    }
    let settings = Settings { threshold: dataset.threshold, bootstrap: None, ..Settings::default() };
    let counts = Counts::of(&results, &settings, |_| true).expect("a pair without an extent is no pair");
    let scores = score(&counts, &settings.alphas, None);
    assert!(scores.scores.iter().all(|score| (score.value - 1.0).abs() < 1e-9), "a truth that is not right");
}

/// Opens a checkpoint and reads all that is in it; a tensor that is read is as long as its shape says.
pub fn checkpoint(path: &Path) {
    let Ok(checkpoint) = Checkpoint::open(path) else { return };
    for name in checkpoint.shapes().keys().take(64) {
        if let Ok(tensor) = checkpoint.read(name) {
            assert_eq!(tensor.shape.iter().product::<usize>(), tensor.data.len());
        }
    }
    let _ = Adapter::open(&checkpoint, 32);
}
