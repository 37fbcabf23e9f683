//! Which pairs a run is shown by, by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod common;

use common::{result, settings};
use homolog_eval::report::gallery::{EACH, Gallery, Shown};
use homolog_eval::result::PairResult;

fn names<'a>(shown: &[Shown<'a>]) -> Vec<&'a str> {
    shown.iter().map(|shown| shown.result.pair.as_str()).collect()
}

/// Pairs of one category, the n-th with n of 20 keypoints wrong.
fn ladder(count: usize) -> Vec<PairResult> {
    let errors = |wrong: usize| -> Vec<f64> { (0..20).map(|index| if index < wrong { 50.0 } else { 1.0 }).collect() };
    (0..count).map(|wrong| result(&format!("p{wrong:02}"), "cat", 100.0, &errors(wrong))).collect()
}

#[test]
fn the_best_come_best_first_the_worst_worst_first() {
    let mut results = ladder(15);
    results.reverse();
    let gallery = Gallery::new(&results, &settings(), 0.1).unwrap();
    assert_eq!(names(&gallery.best), ["p00", "p01", "p02", "p03"]);
    assert_eq!(names(&gallery.median), ["p05", "p06", "p07", "p08"]);
    assert_eq!(names(&gallery.worst), ["p14", "p13", "p12", "p11"]);
    assert_eq!((gallery.best[1].right, gallery.best[1].extent), (19, 100.0));
    assert!((gallery.best[1].error - (19.0 * 0.01 + 0.5) / 20.0).abs() < 1e-12);
}

#[test]
fn equal_shares_are_ordered_by_error_and_then_by_name() {
    let results = [
        result("c", "cat", 100.0, &[3.0, 2.0]),
        result("a", "cat", 100.0, &[4.0, 5.0]),
        result("b", "cat", 100.0, &[2.0, 3.0]),
    ];
    let gallery = Gallery::new(&results, &settings(), 0.1).unwrap();
    assert_eq!(
        (names(&gallery.best), names(&gallery.median), names(&gallery.worst)),
        (vec!["b"], vec!["c"], vec!["a"])
    );
}

#[test]
fn a_category_comes_again_only_when_every_other_has_come() {
    let mut results = ladder(15);
    for (index, pair) in results.iter_mut().enumerate() {
        // the best and the worst are cats
        pair.category = if (5..10).contains(&index) { "dog" } else { "cat" }.to_owned();
    }
    let gallery = Gallery::new(&results, &settings(), 0.1).unwrap();
    assert_eq!(names(&gallery.best), ["p00", "p01", "p05", "p06"]);
    assert_eq!(names(&gallery.worst), ["p14", "p13", "p09", "p08"]);
    assert_eq!(names(&gallery.median), ["p03", "p04", "p07", "p10"]);
}

#[test]
fn no_pair_comes_twice_however_few_there_are() {
    for count in 0..15 {
        let results = ladder(count);
        let Gallery { best, median, worst } = Gallery::new(&results, &settings(), 0.1).unwrap();
        let mut all = [names(&best), names(&worst), names(&median)].concat();
        let shown = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), shown);
        assert!(best.len() <= EACH && shown == count.min(3 * best.len()), "{count}: {shown}");
    }
}
