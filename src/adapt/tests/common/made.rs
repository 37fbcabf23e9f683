//! Small datasets that exist in memory alone.

use std::path::PathBuf;
use std::sync::Arc;

use homolog_core::geometry::{Point, Size};
use homolog_eval::Dataset;
use homolog_eval::dataset::{Category, Difficulty, Image, Keypoint, Pair};
use homolog_eval::pck::Threshold;
use homolog_eval::symmetry::Symmetry;

/// The size of every image, px.
pub const SIZE: Size = Size::new(200, 100);

/// No images, and these categories; with the left and right of SPair-71k where it has the name.
pub fn dataset(categories: &[&str]) -> Dataset {
    let known = Symmetry::spair71k().unwrap();
    let category = |name: &&str| Category { name: (*name).to_owned(), symmetry: known.get(*name).cloned() };
    Dataset {
        name: "made".to_owned(),
        images: Vec::new(),
        categories: categories.iter().map(category).collect(),
        pairs: Vec::new(),
        problems: Vec::new(),
        listed: 0,
        threshold: Threshold::Box,
    }
}

/// Adds an image.
pub fn image(dataset: &mut Dataset) -> usize {
    let path = PathBuf::from(format!("{}.png", dataset.images.len()));
    dataset.images.push(Image { path, size: SIZE });
    dataset.images.len() - 1
}

/// Adds a pair of these keypoints.
pub fn pair(
    dataset: &mut Dataset,
    category: usize,
    source: usize,
    target: usize,
    keypoints: &[(&str, [f64; 2], [f64; 2])],
) {
    let keypoint = |&(id, source, target): &(&str, [f64; 2], [f64; 2])| Keypoint {
        id: id.to_owned(),
        source: source.into(),
        target: target.into(),
    };
    dataset.pairs.push(Pair {
        id: format!("{}-{source}-{target}", dataset.pairs.len()),
        source,
        target,
        category,
        keypoints: keypoints.iter().map(keypoint).collect(),
        source_box: None,
        target_box: None,
        difficulty: Difficulty::default(),
        target_visible: None,
    });
    dataset.listed += 1;
}

/// Says what else the target of the pair that was added last shows.
#[allow(dead_code, reason = "not every test needs it")]
pub fn also_visible(dataset: &mut Dataset, keypoints: &[(&str, [f64; 2])]) {
    let visible: Vec<(String, Point)> = keypoints.iter().map(|&(id, point)| (id.to_owned(), point.into())).collect();
    dataset.pairs.last_mut().unwrap().target_visible = Some(Arc::from(visible));
}
