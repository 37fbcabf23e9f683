//! The readers, each held against a miniature of its format written by hand, and against the real files where they are.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod ap10k;
mod format;
mod pf;
mod simple;
mod spair71k;
mod symmetry;

use std::fs;
use std::path::{Path, PathBuf};

use homolog_core::geometry::Point;
use homolog_eval::Dataset;
use homolog_eval::dataset::{Pair, ProblemKind};
use homolog_eval::readers::ReadOptions;

/// Every problem is an error.
fn strict() -> ReadOptions {
    ReadOptions { strict: true, ..ReadOptions::default() }
}

/// Writes a file and the folders above it.
fn put(folder: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Writes a black PNG of this size.
fn put_image(folder: &Path, path: &str, width: u32, height: u32) {
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(width, height).write_to(&mut png, image::ImageFormat::Png).unwrap();
    put(folder, path, png.into_inner());
}

/// Kind, field and whether the pair was left out, of each problem.
fn problems(dataset: &Dataset) -> Vec<(ProblemKind, Option<&str>, bool)> {
    dataset.problems.iter().map(|problem| (problem.kind, problem.field.as_deref(), problem.left_out)).collect()
}

/// Id, source and target of a keypoint.
type Plain<'a> = (&'a str, (f64, f64), (f64, f64));

fn keypoints(pair: &Pair) -> Vec<Plain<'_>> {
    let plain = |point: Point| (point.x, point.y);
    pair.keypoints.iter().map(|k| (k.id.as_str(), plain(k.source), plain(k.target))).collect()
}

/// Shared data of this machine (`HOMOLOG_SHARED`, or `../shared/data` beside the repository).
fn shared(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("HOMOLOG_SHARED").map_or_else(beside, PathBuf::from).join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there (set HOMOLOG_SHARED to the folder of shared data)", path.display());
    None
}
