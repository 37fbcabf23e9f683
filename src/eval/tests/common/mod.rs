//! Results made by hand.

#![allow(dead_code, reason = "each test file uses a part")]

use homolog_core::geometry::Point;
use homolog_eval::dataset::Difficulty;
use homolog_eval::pck::Settings;
use homolog_eval::result::{Extents, KeypointResult, PairResult};

/// The defaults without intervals.
pub fn settings() -> Settings {
    Settings { bootstrap: None, ..Settings::default() }
}

/// A keypoint at the origin that was found `error` px to the right.
pub fn keypoint(id: &str, error: f64) -> KeypointResult {
    KeypointResult {
        id: id.to_owned(),
        source: Point::new(0.0, 0.0),
        prediction: Point::new(error, 0.0),
        truth: Point::new(0.0, 0.0),
        error,
        similarity: 0.5,
        confidence: 0.5,
        ratio: None,
        cycle_error: None,
        geometry_aware: None,
        partner: None,
    }
}

/// A pair whose target box has this extent.
pub fn result(pair: &str, category: &str, extent: f64, errors: &[f64]) -> PairResult {
    PairResult {
        pair: pair.to_owned(),
        category: category.to_owned(),
        difficulty: Difficulty::default(),
        extents: Extents { target_box: Some(extent), keypoints: Some(extent / 2.0), image: Some(extent * 2.0) },
        keypoints: errors.iter().enumerate().map(|(id, error)| keypoint(&id.to_string(), *error)).collect(),
    }
}
