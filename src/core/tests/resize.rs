//! Our resize held against Pillow's, on real photos and from the same decoded pixels.
//!
//! Needs photos (`../shared/data` beside the repository, or `HOMOLOG_SHARED`) and a Python with Pillow (`.cache/python`, where
//! the Makefile installs it, or the interpreter `HOMOLOG_PYTHON`). Without photos it is skipped, and without Pillow unless
//! `HOMOLOG_REQUIRE_PILLOW=1`, as `make test` has it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use homolog_core::geometry::Size;
use homolog_core::image::{DecodeLimits, Interpolation, Photo, resize};
use serde_json::json;

/// PNG and JPEG, 300×225 to 1536×1024.
const PHOTOS: [&str; 5] = [
    "pf-willow/PF-dataset-WILLOW/motorbike(G)/Motorbikes_002a.png",
    "marco/src_car.jpg",
    "marco/src_cat.jpg",
    "marco/trg_cat.jpg",
    "ap10k/000000000004.jpg",
];

/// Up and down, and one that keeps no ratio. None reduces the height much more than the width: there Pillow 13 changed the
/// order of its passes (python-pillow/Pillow#9549), and differs from the versions before it as it does from ours.
const SIZES: [Size; 4] = [Size::new(518, 518), Size::new(896, 896), Size::new(112, 84), Size::new(448, 672)];

const FILTERS: [Interpolation; 2] = [Interpolation::Bicubic, Interpolation::Bilinear];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn photos() -> Result<Vec<PathBuf>, String> {
    let shared = env::var_os("HOMOLOG_SHARED").map_or_else(|| repository().join("../shared/data"), PathBuf::from);
    PHOTOS
        .iter()
        .map(|name| shared.join(name))
        .map(|path| if path.is_file() { Ok(path) } else { Err(format!("{} is not there", path.display())) })
        .collect()
}

fn python() -> Result<Command, String> {
    let interpreter = env::var_os("HOMOLOG_PYTHON").unwrap_or_else(|| "python3".into());
    let command = || {
        let mut command = Command::new(&interpreter);
        command.env("PYTHONPATH", repository().join(".cache/python"));
        command
    };
    match command().args(["-c", "import PIL.Image"]).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(command()),
        Ok(_) => Err(format!("{} has no Pillow", interpreter.display())),
        Err(error) => Err(format!("{} does not start: {error}", interpreter.display())),
    }
}

#[test]
fn resizing_agrees_with_pillow() {
    let photos = match photos() {
        Ok(photos) => photos,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let mut python = match python() {
        Ok(ready) => ready,
        Err(why) if env::var("HOMOLOG_REQUIRE_PILLOW").is_ok_and(|value| value == "1") => {
            panic!("{why}")
        }
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let folder = tempfile::tempdir().unwrap();
    let (mut jobs, mut cases) = (Vec::new(), Vec::new());
    for (n, path) in photos.iter().enumerate() {
        let photo = Photo::decode(&fs::read(path).unwrap(), &DecodeLimits::default()).unwrap();
        // Pillow gets our decoded pixels, so that decoders' differences do not count
        let png = folder.path().join(format!("{n}.png"));
        let Size { width, height } = photo.size();
        image::save_buffer(&png, photo.rgb(), width, height, image::ExtendedColorType::Rgb8).unwrap();
        for size in SIZES {
            for filter in FILTERS {
                let out = folder.path().join(jobs.len().to_string());
                let Size { width, height } = size;
                let filter_name = filter.to_string();
                jobs.push(json!({"image": png, "width": width, "height": height, "filter": filter_name, "out": out}));
                cases.push((path, resize(&photo, size, filter).unwrap(), filter, out));
            }
        }
    }
    let script = repository().join("tests/reference/pillow_resize.py");
    let mut child = python.arg(script).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(json!(jobs).to_string().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());

    let (mut worst, mut worst_mean) = (0, 0.0f64);
    for (path, ours, filter, out) in cases {
        let pillow = fs::read(out).unwrap();
        assert_eq!(pillow.len(), ours.rgb().len());
        let differences = || ours.rgb().iter().zip(&pillow).map(|(a, b)| a.abs_diff(*b));
        let max = differences().max().unwrap();
        let mean = differences().map(f64::from).sum::<f64>() / pillow.len() as f64;
        let what = format!("{} to {:?}, {filter}: at most {max}, on average {mean}", path.display(), ours.size());
        // both compute in fixed point; how many bits the coefficients have is each one's own
        assert!(max <= 3 && mean <= 0.05, "{what}");
        (worst, worst_mean) = (worst.max(max), worst_mean.max(mean));
    }
    println!("differs by {worst} of 255 at most, by {worst_mean:.6} on average at most");
}
