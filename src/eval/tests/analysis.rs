//! Confusion, distribution of errors and reliability, by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod common;

use common::{result, settings};
use homolog_core::geometry::Point;
use homolog_eval::analysis::{Confusion, ConfusionRow, Errors, Reliability};

#[test]
fn a_wrong_prediction_nearer_to_the_partner_is_a_confusion() {
    // the partner lies 40 px to the right of the truth, the prediction on the way there
    let mut one = result("a", "cat", 100.0, &[5.0, 19.0, 20.0, 21.0, 70.0, 30.0]);
    for keypoint in &mut one.keypoints[..5] {
        keypoint.partner = Some(Point::new(40.0, 0.0));
    }
    let confusion = Confusion::new(&[one], &settings(), 0.1).unwrap();
    // 5 is right; 19 is wrong but nearer to the truth; 20 is as near to both; 21 and 70 are nearer to the partner; the last has none
    assert_eq!(confusion.all, ConfusionRow { points: 5, wrong: 4, confused: 2 });
    assert_eq!(confusion.categories["cat"], confusion.all);
    assert_eq!(confusion.keypoints["cat"]["3"], ConfusionRow { points: 1, wrong: 1, confused: 1 });
}

#[test]
fn a_right_prediction_is_no_confusion_however_near_the_partner_is() {
    let mut one = result("a", "cat", 100.0, &[9.0]);
    one.keypoints[0].partner = Some(Point::new(8.0, 0.0));
    assert_eq!(
        Confusion::new(&[one], &settings(), 0.1).unwrap().all,
        ConfusionRow { points: 1, wrong: 0, confused: 0 }
    );
}

#[test]
fn errors_are_shares_of_the_extent() {
    let results = [result("a", "cat", 100.0, &[0.0, 2.0, 100.0]), result("b", "cat", 10.0, &[1.0, 30.0])];
    let errors = Errors::new(&results, &settings()).unwrap();
    // 0, 0.02, 0.1, 1, 3
    assert_eq!((errors.points, errors.percentiles[2]), (5, 0.1));
    assert!((errors.mean.unwrap() - 4.12 / 5.0).abs() < 1e-12);
    assert!((errors.percentiles[3] - 1.0).abs() < 1e-12, "the 75th percentile");
    let counts: Vec<(f64, usize)> =
        errors.bins.iter().filter(|bin| bin.points > 0).map(|bin| (bin.from, bin.points)).collect();
    assert_eq!(counts, [(0.0, 1), (0.02, 1), (0.1, 1), (1.0, 2)]);
    assert_eq!(errors.bins.last().unwrap().to, None);
    assert_eq!(Errors::new(&[], &settings()).unwrap().mean, None);
}

#[test]
fn reliability_is_that_computed_by_hand() {
    let mut one = result("a", "cat", 100.0, &[0.0, 50.0, 0.0, 0.0]);
    for (keypoint, confidence) in one.keypoints.iter_mut().zip([0.25, 0.25, 0.75, 1.0]) {
        keypoint.confidence = confidence;
    }
    let reliability = Reliability::new(&[one], &settings(), 0.1).unwrap();
    let bins: Vec<(f64, usize, f64)> = reliability
        .bins
        .iter()
        .filter(|bin| bin.points > 0)
        .map(|bin| (bin.confidence.unwrap(), bin.points, bin.right.unwrap()))
        .collect();
    assert_eq!(bins, [(0.25, 2, 0.5), (0.75, 1, 1.0), (1.0, 1, 1.0)]);
    // 2/4 · 0.25 + 1/4 · 0.25 + 1/4 · 0
    assert_eq!(reliability.expected_calibration_error, Some(0.1875));
    // of the three right ones two are above the wrong one and one is level with it
    assert_eq!(reliability.auroc, Some(2.5 / 3.0));
}

#[test]
fn without_a_wrong_match_there_is_no_auroc() {
    let reliability = Reliability::new(&[result("a", "cat", 100.0, &[0.0])], &settings(), 0.1).unwrap();
    assert_eq!(reliability.auroc, None);
    assert_eq!(Reliability::new(&[], &settings(), 0.1).unwrap().expected_calibration_error, None);
}
