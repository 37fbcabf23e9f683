//! Our PCK against a second evaluator, written in Python from the protocol alone (`tests/reference/pck.py`): to the hit.
//!
//! It takes `HOMOLOG_PYTHON`, or `python3`, with numpy, and says that it skipped where there is none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod common;
#[path = "common/python.rs"]
mod python;

use common::{result, settings};
use homolog_core::geometry::Point;
use homolog_eval::dataset::Bounds;
use homolog_eval::pck::{Operator, Settings, Threshold};
use homolog_eval::result::PairResult;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Pairs with all that may matter; every fourth distance lies exactly on a threshold.
fn pairs(seed: u64, count: u32) -> Vec<PairResult> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut below = move |bound: u32| random.next_u32() % bound;
    (0..count)
        .map(|number| {
            let extent = f64::from(20 * (1 + below(20)));
            let category = ["bird", "boat", "bus", "cat"][below(4) as usize];
            let mut pair = result(&format!("{number:04}"), category, extent, &vec![0.0; 2 + below(12) as usize]);
            pair.extents.image = Some(2.0 * extent);
            for keypoint in &mut pair.keypoints {
                keypoint.truth = Point::new(f64::from(below(500)), f64::from(below(400)));
                let (dx, dy) = match below(4) {
                    // 3-4-5: distances of 1, 5, 10, 15 and 20 % of the extent
                    0 => {
                        let share = [0.01, 0.05, 0.1, 0.15, 0.2][below(5) as usize] * extent;
                        (0.6 * share, -0.8 * share)
                    }
                    _ => (f64::from(below(1000)) / 10.0 - 50.0, f64::from(below(1000)) / 10.0 - 50.0),
                };
                keypoint.prediction = Point::new(keypoint.truth.x + dx, keypoint.truth.y + dy);
                keypoint.error = keypoint.prediction.distance(keypoint.truth);
                keypoint.geometry_aware = (category != "cat").then_some(below(3) == 0);
            }
            let around = Bounds::around(pair.keypoints.iter().map(|keypoint| keypoint.truth)).unwrap();
            pair.extents.keypoints = Some(around.extent()).filter(|extent| *extent > 0.0);
            pair.difficulty.viewpoint = Some(below(3) as u8);
            pair.difficulty.truncation = (below(2) == 0).then_some(below(4) as u8);
            pair
        })
        .collect()
}

#[test]
fn both_evaluators_agree_to_the_hit() {
    let Some(python) = python::find() else { return };
    for operator in [Operator::AtMost, Operator::Below] {
        for threshold in [Threshold::Box, Threshold::Keypoints, Threshold::Image] {
            let settings = Settings { operator, threshold, ..settings() };
            python::agrees(&python, &pairs(11, 400), &settings);
        }
    }
}
