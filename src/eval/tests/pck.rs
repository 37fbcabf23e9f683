//! PCK by hand: thresholds, operators, averages, subsets, intervals, comparison, and the mistakes that others made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod common;

use common::{keypoint, result, settings};
use homolog_eval::Error;
use homolog_eval::pck::{Alphas, Average, Bootstrap, Operator, Score, Settings, Threshold, compare};
use homolog_eval::report::{Flag, Report};
use homolog_eval::result::{Extents, PairResult};
use proptest::prelude::*;

fn value(report: &Report, average: Average, alpha: f64) -> f64 {
    report.overall.get(average, alpha).unwrap().value
}

/// Two categories. Box 100 px everywhere but in the last pair, whose box is 10 px.
///
/// | pair | category | errors | right at 0.1, <= | < |
/// |---|---|---|---|---|
/// | a | cat | 0, 10, 10.5, 50 | 2 of 4 | 1 of 4 |
/// | b | cat | 5 | 1 of 1 | 1 of 1 |
/// | c | dog | 1, 1.5 | 1 of 2 | 0 of 2 |
fn three() -> Vec<PairResult> {
    vec![
        result("a", "cat", 100.0, &[0.0, 10.0, 10.5, 50.0]),
        result("b", "cat", 100.0, &[5.0]),
        result("c", "dog", 10.0, &[1.0, 1.5]),
    ]
}

#[test]
fn the_four_averages_are_those_computed_by_hand() {
    let report = Report::new(&three(), &settings()).unwrap();
    let near = |average, due: f64| assert!((value(&report, average, 0.1) - due).abs() < 1e-15, "{average}");
    near(Average::PerImage, (0.5 + 1.0 + 0.5) / 3.0);
    near(Average::PerPoint, 4.0 / 7.0);
    near(Average::PerImageCategoryMean, (0.75 + 0.5) / 2.0);
    near(Average::PerPointCategoryMean, (3.0 / 5.0 + 0.5) / 2.0);
    assert_eq!((report.overall.pairs, report.overall.points), (3, 7));
    let cat = &report.categories["cat"];
    assert_eq!((cat.pairs, cat.points), (2, 5));
    assert_eq!(cat.get(Average::PerPoint, 0.1).unwrap().value, 0.6);
    assert_eq!(cat.get(Average::PerPointCategoryMean, 0.1).unwrap().value, 0.6);
}

#[test]
fn a_point_on_the_threshold_is_right_by_one_operator_and_wrong_by_the_other() {
    let strict = Settings { operator: Operator::Below, ..settings() };
    let report = Report::new(&three(), &strict).unwrap();
    assert_eq!(value(&report, Average::PerPoint, 0.1), 2.0 / 7.0);
    // every α of the paper, on boxes whose thresholds are whole numbers
    for (alpha, error) in [(0.01, 1.0), (0.05, 5.0), (0.10, 10.0), (0.15, 15.0), (0.20, 20.0)] {
        let one = [result("a", "cat", 100.0, &[error])];
        assert_eq!(value(&Report::new(&one, &settings()).unwrap(), Average::PerPoint, alpha), 1.0, "{alpha}");
        assert_eq!(value(&Report::new(&one, &strict).unwrap(), Average::PerPoint, alpha), 0.0, "{alpha}");
    }
}

#[test]
fn the_threshold_is_a_share_of_what_is_asked_for() {
    let mut one = result("a", "cat", 100.0, &[10.0]);
    one.extents = Extents { target_box: Some(100.0), keypoints: Some(50.0), image: Some(200.0) };
    let smallest = |threshold| {
        let settings = Settings { threshold, ..settings() };
        let report = Report::new(std::slice::from_ref(&one), &settings).unwrap();
        report
            .overall
            .scores
            .iter()
            .find(|score| score.average == Average::PerPoint && score.value == 1.0)
            .unwrap()
            .alpha
    };
    assert_eq!(smallest(Threshold::Box), 0.10);
    assert_eq!(smallest(Threshold::Keypoints), 0.20);
    assert_eq!(smallest(Threshold::Image), 0.05);
    one.extents.keypoints = None;
    let settings = Settings { threshold: Threshold::Keypoints, ..settings() };
    assert!(matches!(Report::new(&[one], &settings), Err(Error::NoThreshold { .. })));
}

#[test]
fn pairs_are_grouped_by_each_flag_of_difficulty() {
    let mut results = three();
    results[0].difficulty.viewpoint = Some(2);
    results[1].difficulty.viewpoint = Some(0);
    results[2].difficulty.viewpoint = Some(2);
    results[2].difficulty.occlusion = Some(3);
    let report = Report::new(&results, &settings()).unwrap();
    let groups: Vec<(Flag, u8, usize, f64)> = report
        .difficulty
        .iter()
        .map(|group| {
            (group.flag, group.value, group.scores.points, group.scores.get(Average::PerImage, 0.1).unwrap().value)
        })
        .collect();
    assert_eq!(groups, [(Flag::Viewpoint, 0, 1, 1.0), (Flag::Viewpoint, 2, 6, 0.5), (Flag::Occlusion, 3, 2, 0.5)]);
}

#[test]
fn the_geometry_aware_subset_counts_its_keypoints_and_pairs_alone() {
    let mut results = three();
    results[0].keypoints[0].geometry_aware = Some(true);
    results[0].keypoints[3].geometry_aware = Some(true);
    results[2].keypoints[1].geometry_aware = Some(true);
    let subset = Report::new(&results, &settings()).unwrap().geometry_aware.unwrap();
    assert_eq!((subset.pairs, subset.points), (2, 3));
    assert_eq!(subset.get(Average::PerImage, 0.1).unwrap().value, 0.25);
    assert_eq!(subset.get(Average::PerPoint, 0.1).unwrap().value, 1.0 / 3.0);
    assert_eq!(Report::new(&three(), &settings()).unwrap().geometry_aware, None);
}

#[test]
fn the_curve_passes_through_the_table() {
    let report = Report::new(&three(), &settings()).unwrap();
    assert_eq!((report.curve.alphas.len(), report.curve.alphas[0], report.curve.alphas[99]), (100, 0.002, 0.2));
    for alpha in [0.01, 0.05, 0.10, 0.15, 0.20] {
        let place = report.curve.alphas.iter().position(|other| *other == alpha).expect("the same f64");
        assert_eq!(report.curve.per_image[place], value(&report, Average::PerImage, alpha));
        assert_eq!(report.curve.per_point[place], value(&report, Average::PerPoint, alpha));
    }
}

#[test]
fn a_prediction_that_is_not_a_number_is_wrong() {
    let mut one = result("a", "cat", 100.0, &[0.0]);
    one.keypoints[0].error = f64::NAN;
    assert_eq!(value(&Report::new(&[one], &settings()).unwrap(), Average::PerPoint, 0.2), 0.0);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for alphas in [vec![], vec![0.0, 0.1], vec![0.2, 0.1], vec![0.1, 0.1], vec![0.1, f64::NAN], vec![f64::INFINITY]] {
        assert!(Alphas::try_from(alphas.clone()).is_err(), "{alphas:?}");
    }
    let json = r#"{"operator": "<", "threshold": "image", "alphas": [0.1], "bootstrap": null}"#;
    let parsed: Settings = serde_json::from_str(json).unwrap();
    assert_eq!((parsed.operator, parsed.threshold, parsed.bootstrap), (Operator::Below, Threshold::Image, None));
    assert!(serde_json::from_str::<Settings>(r#"{"alpha": [0.1]}"#).is_err());
}

#[test]
fn intervals_are_the_same_on_any_number_of_threads_and_hold_the_value() {
    let results: Vec<PairResult> = (0..40)
        .map(|n| {
            result(
                &format!("{n:02}"),
                if n % 3 == 0 { "cat" } else { "dog" },
                100.0,
                &[f64::from(n), f64::from(40 - n)],
            )
        })
        .collect();
    let settings = Settings { bootstrap: Some(Bootstrap { resamples: 500, seed: 7 }), ..settings() };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Report::new(&results, &settings).unwrap())
    };
    let report = on(1);
    assert_eq!(report, on(4));
    for Score { value, interval, average, alpha } in &report.overall.scores {
        let interval = interval.unwrap();
        assert!(interval.low <= *value && *value <= interval.high, "{average} {alpha}");
    }
    let at = |report: &Report| report.overall.get(Average::PerPoint, 0.1).unwrap().interval.unwrap();
    assert!(at(&report).high - at(&report).low > 0.05);
    let other = Settings { bootstrap: Some(Bootstrap { resamples: 500, seed: 8 }), ..settings };
    assert_ne!(report.overall, Report::new(&results, &other).unwrap().overall, "the seed counts");
}

#[test]
fn an_interval_of_pairs_that_are_all_alike_has_no_width() {
    let results: Vec<PairResult> = (0..9).map(|n| result(&n.to_string(), "cat", 100.0, &[1.0, 50.0])).collect();
    let settings = Settings { bootstrap: Some(Bootstrap { resamples: 100, seed: 0 }), ..settings() };
    let interval = Report::new(&results, &settings).unwrap().overall.scores[2].interval.unwrap();
    assert_eq!((interval.low, interval.high), (0.5, 0.5));
}

#[test]
fn two_runs_are_compared_pair_by_pair() {
    let first = three();
    let mut second = vec![
        result("c", "dog", 10.0, &[0.5, 0.5]),
        result("b", "cat", 100.0, &[11.0]),
        result("a", "cat", 100.0, &[0.0, 10.0, 10.5, 40.0]),
        result("d", "dog", 10.0, &[1.0]),
    ];
    let settings = Settings { bootstrap: Some(Bootstrap { resamples: 200, seed: 1 }), ..settings() };
    let comparison = compare(&first, &second, &settings, 0.1, 2).unwrap();
    assert_eq!((comparison.pairs, comparison.only_first.len(), comparison.only_second), (3, 0, vec!["d".to_owned()]));
    let per_point = comparison.differences.iter().find(|d| d.average == Average::PerPoint && d.alpha == 0.1).unwrap();
    assert_eq!((per_point.first, per_point.second, per_point.difference), (4.0 / 7.0, 4.0 / 7.0, 0.0));
    let per_image = comparison.differences.iter().find(|d| d.average == Average::PerImage && d.alpha == 0.1).unwrap();
    assert!((per_image.difference - (-1.0 + 0.5) / 3.0).abs() < 1e-15);
    assert!(per_image.interval.unwrap().low < 0.0);
    let changed: Vec<(&str, f64, f64)> =
        comparison.changed.iter().map(|change| (change.pair.as_str(), change.first, change.second)).collect();
    assert_eq!(changed, [("b", 1.0, 0.0), ("c", 0.5, 1.0)], "the greatest change first, and two of them");

    second[0].keypoints[0].truth.x += 1.0;
    assert!(matches!(compare(&first, &second, &settings, 0.1, 2), Err(Error::Incomparable { .. })));
    assert!(matches!(compare(&first, &second[3..], &settings, 0.1, 2), Err(Error::NothingInCommon)));
    assert!(matches!(compare(&first, &first, &settings, 0.3, 2), Err(Error::Setting { .. })));
}

#[test]
fn a_run_compared_with_itself_has_not_changed() {
    let settings = Settings { bootstrap: Some(Bootstrap { resamples: 50, seed: 1 }), ..settings() };
    let comparison = compare(&three(), &three(), &settings, 0.1, 10).unwrap();
    assert!(comparison.changed.is_empty());
    assert!(comparison.differences.iter().all(|d| d.difference == 0.0 && d.interval.unwrap().high == 0.0));
}

fn runs() -> impl Strategy<Value = Vec<PairResult>> {
    let pair = (0..3_usize, 1.0..300.0_f64, prop::collection::vec(0.0..80.0_f64, 1..9));
    prop::collection::vec(pair, 1..12).prop_map(|pairs| {
        let named = pairs.into_iter().enumerate();
        named
            .map(|(n, (c, extent, errors))| result(&n.to_string(), ["cat", "cow", "dog"][c], extent, &errors))
            .collect()
    })
}

proptest! {
    #[test]
    fn pck_never_falls_when_alpha_rises(results in runs()) {
        let report = Report::new(&results, &settings()).unwrap();
        for average in Average::ALL {
            let values: Vec<f64> =
                report.overall.scores.iter().filter(|s| s.average == average).map(|s| s.value).collect();
            prop_assert!(values.windows(2).all(|two| two[0] <= two[1]), "{average}: {values:?}");
        }
        prop_assert!(report.curve.per_image.windows(2).all(|two| two[0] <= two[1]));
    }

    #[test]
    fn per_point_pools_all_points(results in runs()) {
        let report = Report::new(&results, &settings()).unwrap();
        let points = results.iter().flat_map(|r| r.keypoints.iter().map(|k| k.error <= 0.1 * r.extents.target_box.unwrap()));
        let (hits, count) = points.fold((0, 0), |(hits, count), right| (hits + i32::from(right), count + 1));
        prop_assert_eq!(value(&report, Average::PerPoint, 0.1), f64::from(hits) / f64::from(count));
    }

    #[test]
    fn the_order_of_the_results_changes_no_bit(results in runs(), seed in 0..u64::MAX) {
        let settings = Settings { bootstrap: Some(Bootstrap { resamples: 20, seed }), ..settings() };
        let mut turned = results.clone();
        turned.rotate_left((seed % results.len() as u64) as usize);
        turned.reverse();
        prop_assert_eq!(Report::new(&results, &settings).unwrap(), Report::new(&turned, &settings).unwrap());
    }
}

#[test]
fn a_report_survives_json_and_csv() {
    let mut results = three();
    results[0].keypoints.push(keypoint("k", 3.0));
    let settings = Settings { bootstrap: Some(Bootstrap { resamples: 10, seed: 0 }), ..settings() };
    let report = Report::new(&results, &settings).unwrap();
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    let json = serde_json::to_string(&results).unwrap();
    assert_eq!(serde_json::from_str::<Vec<PairResult>>(&json).unwrap(), results);

    let mut numbers = Vec::new();
    homolog_eval::report::table::numbers([("x", &report), ("y", &report)], &mut numbers).unwrap();
    let numbers = String::from_utf8(numbers).unwrap();
    assert_eq!(numbers.lines().next(), Some("run,group,name,pairs,points,average,alpha,pck,low,high"));
    // two runs, overall and two categories, four averages, five α
    assert_eq!(numbers.lines().count(), 1 + 2 * 3 * 4 * 5);
    assert!(numbers.lines().nth(1).unwrap().starts_with("x,overall,all,3,8,per_image,0.01,"), "{numbers}");
    let mut predictions = Vec::new();
    homolog_eval::report::table::predictions([("x", results.as_slice())], &settings, &mut predictions).unwrap();
    let predictions = String::from_utf8(predictions).unwrap();
    assert_eq!(predictions.lines().count(), 1 + 8);
    assert_eq!(predictions.lines().nth(2).unwrap(), "x,a,cat,1,0.0,0.0,10.0,0.0,0.0,0.0,10.0,100.0,0.5,0.5,,,");
}
