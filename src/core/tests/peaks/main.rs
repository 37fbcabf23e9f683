//! From a row of similarities to a place, checked by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod candidates;

use homolog_core::Error;
use homolog_core::geometry::{Grid, Point};
use homolog_core::matching::*;
use proptest::prelude::*;

const GRID: Grid = Grid::new(3, 3);

/// At [`tau`], softmax weights of 1, 2, 4, 8 and 16 for 0.0, 0.2, 0.4, 0.6 and 0.8:
/// ```text
/// 1 2  1
/// 2 4  8   37 in all
/// 1 2 16
/// ```
const SIMILARITY: [f32; 9] = [0.0, 0.2, 0.0, 0.2, 0.4, 0.6, 0.0, 0.2, 0.8];

/// exp(s / τ) = 2^(s / 0.2)
fn tau() -> Temperature {
    Temperature::try_from((0.2 / std::f64::consts::LN_2) as f32).unwrap()
}

fn temperature(value: f32) -> Temperature {
    Temperature::try_from(value).unwrap()
}

fn window(side: u32) -> Window {
    Window::try_from(side).unwrap()
}

#[track_caller]
fn near(found: Point, x: f64, y: f64) {
    assert!(found.distance(Point::new(x, y)) < 1e-6, "{found:?} is not ({x}, {y})");
}

#[track_caller]
fn nearly(found: f32, expected: f64) {
    assert!((f64::from(found) - expected).abs() < 1e-6, "{found} is not {expected}");
}

fn every_matcher(temperature: Temperature) -> [Matcher; 4] {
    [
        Matcher::Argmax {},
        Matcher::SoftArgmax { temperature },
        Matcher::WindowSoftArgmax { window: window(3), temperature },
        Matcher::KernelSoftArgmax { sigma: Sigma::DEFAULT, temperature },
    ]
}

#[test]
fn argmax_is_the_centre_of_the_best_token() {
    let peak = argmax(&SIMILARITY, GRID).unwrap();
    assert_eq!((peak.point, peak.index, peak.similarity), (Point::new(2.5, 2.5), 8, 0.8));
    // the default window of 5 covers all that a corner of 3 × 3 has: nothing is outside
    assert_eq!((peak.confidence, peak.ratio), (1.0, None));
}

#[test]
fn soft_argmax_is_the_mean_of_all_centres() {
    let peak = soft_argmax(&SIMILARITY, GRID, tau()).unwrap();
    // columns weigh 4, 8, 25, rows 4, 14, 19
    near(peak.point, (4.0 * 0.5 + 8.0 * 1.5 + 25.0 * 2.5) / 37.0, (4.0 * 0.5 + 14.0 * 1.5 + 19.0 * 2.5) / 37.0);
    assert_eq!((peak.index, peak.similarity), (8, 0.8));
}

#[test]
fn window_soft_argmax_leaves_out_what_is_outside() {
    // round the corner the window of 3 has 4 8 / 2 16: columns 6, 24, rows 12, 18
    let peak = window_soft_argmax(&SIMILARITY, GRID, window(3), tau()).unwrap();
    near(peak.point, (6.0 * 1.5 + 24.0 * 2.5) / 30.0, (12.0 * 1.5 + 18.0 * 2.5) / 30.0);
    nearly(peak.confidence, 30.0 / 37.0);
    // best outside: 0.2
    nearly(peak.ratio.unwrap(), 0.25);
    // a window of one token is the argmax, and its confidence the softmax itself
    let peak = window_soft_argmax(&SIMILARITY, GRID, window(1), tau()).unwrap();
    assert_eq!(peak.point, Point::new(2.5, 2.5));
    nearly(peak.confidence, 16.0 / 37.0);
    nearly(peak.ratio.unwrap(), 0.75);
    // one that covers the map is the soft-argmax
    let peak = window_soft_argmax(&SIMILARITY, GRID, window(255), tau()).unwrap();
    assert_eq!(peak.point, soft_argmax(&SIMILARITY, GRID, tau()).unwrap().point);
}

#[test]
fn kernel_soft_argmax_weakens_similarities_by_distance() {
    // exp(−d²/2σ²) = 2^(−d²). d² to the corner: 8 5 4 / 5 2 1 / 4 1 0, so the similarities become
    // 0 .2/32 0 / .2/32 .1 .3 / 0 .1 .8, and the weights 1 a 1 / a b 2b / 1 b 16 with a = 2^(1/32), b = √2
    let sigma = Sigma::try_from((0.5 / std::f64::consts::LN_2).sqrt() as f32).unwrap();
    let peak = kernel_soft_argmax(&SIMILARITY, GRID, sigma, tau()).unwrap();
    let (a, b) = (2f64.powf(1.0 / 32.0), 2f64.sqrt());
    let sum = 19.0 + 2.0 * a + 4.0 * b;
    let x = (2.0 + a) * 0.5 + (a + 2.0 * b) * 1.5 + (17.0 + 2.0 * b) * 2.5;
    let y = (2.0 + a) * 0.5 + (a + 3.0 * b) * 1.5 + (17.0 + b) * 2.5;
    near(peak.point, x / sum, y / sum);
    assert_eq!((peak.index, peak.similarity, peak.ratio), (8, 0.8, None));
}

#[test]
fn ties_go_to_the_first_token() {
    let similarity = [0.1, 0.7, 0.2, 0.7, 0.7, 0.0, 0.7, 0.1, 0.7];
    for matcher in every_matcher(tau()) {
        assert_eq!(peak(&similarity, GRID, &matcher).unwrap().index, 1, "{matcher}");
    }
    assert_eq!(argmax(&similarity, GRID).unwrap().point, Point::new(1.5, 0.5));
}

#[test]
fn a_second_place_as_good_has_the_ratio_one() {
    let similarity = [0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.8];
    let peak = argmax(&similarity, Grid::new(1, 8)).unwrap();
    assert_eq!((peak.index, peak.ratio), (0, Some(1.0)));
    // no ratio where nothing is similar
    assert_eq!(argmax(&[-0.1; 8], Grid::new(1, 8)).unwrap().ratio, None);
    assert_eq!(argmax(&[0.0; 8], Grid::new(1, 8)).unwrap().ratio, None);
}

#[test]
fn what_is_not_finite_takes_no_part() {
    let mut similarity = SIMILARITY;
    (similarity[0], similarity[5], similarity[8]) = (f32::NEG_INFINITY, f32::NAN, f32::INFINITY);
    for matcher in every_matcher(tau()) {
        let peak = peak(&similarity, GRID, &matcher).unwrap();
        assert_eq!((peak.index, peak.similarity), (4, 0.4), "{matcher}");
        assert!(peak.point.x.is_finite() && peak.point.y.is_finite(), "{matcher}");
        assert!(peak.confidence > 0.0 && peak.confidence <= 1.0, "{matcher}");
        assert_eq!(candidates(&similarity, GRID, &matcher, 9, 0).unwrap().len(), 6, "{matcher}");
    }
    for nothing in [f32::NAN, f32::NEG_INFINITY] {
        let error = argmax(&[nothing; 9], GRID).unwrap_err();
        assert!(matches!(error, Error::NoFiniteSimilarity), "{error}");
        assert!(candidates(&[nothing; 9], GRID, &Matcher::default(), 3, 1).unwrap().is_empty());
    }
}

#[test]
fn a_single_token_is_its_own_match() {
    for matcher in every_matcher(tau()) {
        let peak = peak(&[0.3], Grid::new(1, 1), &matcher).unwrap();
        assert_eq!((peak.point, peak.index, peak.similarity), (Point::new(0.5, 0.5), 0, 0.3), "{matcher}");
        assert_eq!((peak.confidence, peak.ratio), (1.0, None), "{matcher}");
    }
}

#[test]
fn a_row_of_the_wrong_length_is_refused() {
    for grid in [Grid::new(3, 4), Grid::new(0, 0)] {
        assert!(matches!(argmax(&SIMILARITY, grid), Err(Error::Shape { .. })));
        assert!(matches!(candidates(&SIMILARITY, grid, &Matcher::default(), 1, 1), Err(Error::Shape { .. })));
    }
    assert!(matches!(argmax(&[], Grid::new(0, 0)), Err(Error::NoFiniteSimilarity)));
}

#[test]
fn extreme_temperatures_stay_finite() {
    for value in [f32::MIN_POSITIVE / 2.0, 1e-30, 1e30, f32::MAX] {
        for matcher in every_matcher(temperature(value)) {
            let peak = peak(&SIMILARITY, GRID, &matcher).unwrap();
            assert!(peak.point.x.is_finite() && peak.confidence.is_finite(), "{matcher}");
        }
    }
    // so hot that all tokens weigh the same
    near(soft_argmax(&SIMILARITY, GRID, temperature(f32::MAX)).unwrap().point, 1.5, 1.5);
}

fn any_row() -> impl Strategy<Value = (Grid, Vec<f32>)> {
    (1usize..12, 1usize..12).prop_flat_map(|(height, width)| {
        prop::collection::vec(-1.0f32..1.0, height * width).prop_map(move |row| (Grid::new(height, width), row))
    })
}

proptest! {
    #[test]
    fn window_soft_argmax_lies_in_its_window((grid, row) in any_row(), radius in 0u32..6, tau in 1e-3f32..10.0) {
        let peak = window_soft_argmax(&row, grid, window(2 * radius + 1), temperature(tau)).unwrap();
        let best = grid.centre(peak.index);
        let reach = f64::from(radius) + 1e-9;
        prop_assert!((peak.point.x - best.x).abs() <= reach && (peak.point.y - best.y).abs() <= reach);
        prop_assert!(peak.point.x >= 0.5 - 1e-9 && peak.point.x <= grid.width as f64 - 0.5 + 1e-9);
        prop_assert!(peak.confidence >= 0.0 && peak.confidence <= 1.0);
        prop_assert!(peak.ratio.is_none_or(|ratio| ratio <= 1.0));
    }

    #[test]
    fn a_temperature_near_zero_gives_the_argmax((grid, row) in any_row()) {
        let expected = argmax(&row, grid).unwrap();
        for matcher in every_matcher(temperature(1e-30)) {
            let found = peak(&row, grid, &matcher).unwrap();
            prop_assert_eq!(found.index, expected.index);
            // the kernel brings a negative best similarity below those that it brings to zero: as published
            if expected.similarity > 0.0 || !matches!(matcher, Matcher::KernelSoftArgmax { .. }) {
                prop_assert_eq!(found.point, expected.point, "{}", matcher);
            }
        }
    }
}
