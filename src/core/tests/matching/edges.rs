//! Padding, borders, maps of nothing, and what is refused.

use homolog_core::Error;
use homolog_core::features::FeatureMap;
use homolog_core::geometry::{Fit, FitMode, Grid, Point, Size};
use homolog_core::matching::*;

use super::{fit, noise, random_map, settings, sharp};

#[test]
fn padding_is_never_matched() {
    let fit = fit(FitMode::Letterbox, 500, 375);
    let (rows, columns) = fit.content_tokens();
    assert_eq!((&rows, &columns), (&(1..9), &(0..10)));
    let source = random_map(8, fit.grid(), 32);
    let query = fit.from_token(Point::new(4.5, 4.5));
    let mut data = noise(9, fit.grid().len() * 32);
    // the padding of the target looks exactly like the keypoint
    for token in (0..10).chain(90..100) {
        data[token * 32..][..32].copy_from_slice(source.token(4, 4));
    }
    let target = FeatureMap::new(fit.grid(), 32, data).unwrap();
    let (source, target) = (View { features: &source, fit: &fit }, View { features: &target, fit: &fit });
    for matcher in sharp() {
        let settings = Settings { matcher, top_k: 100, cycle: true, ..Settings::default() };
        let found = run(&source, &target, &[query], &settings).unwrap().remove(0);
        assert!(found.similarity < 0.9, "{matcher}: {found:?}");
        assert!(found.ratio.unwrap() < 1.0);
        for point in found.candidates.iter().map(|candidate| candidate.point).chain([found.point]) {
            assert_eq!(point, point.clamped_to(fit.image()), "{matcher}");
        }
    }
}

#[test]
fn a_strip_thinner_than_a_patch_is_matched_inside_the_image() {
    let fit = fit(FitMode::Letterbox, 4000, 20);
    let map = random_map(10, fit.grid(), 32);
    let view = View { features: &map, fit: &fit };
    for found in run(&view, &view, &[Point::new(0.0, 0.0), Point::new(4000.0, 20.0)], &Settings::default()).unwrap() {
        assert_eq!(found.point, found.point.clamped_to(fit.image()));
    }
}

#[test]
fn nan_descriptors_take_no_part() {
    let fit = fit(FitMode::Squash, 140, 140);
    let source = random_map(15, fit.grid(), 16);
    let mut data = source.data().to_vec();
    data[5 * 16] = f32::NAN;
    data[6 * 16] = f32::INFINITY;
    let target = FeatureMap::new(fit.grid(), 16, data).unwrap();
    let blank = FeatureMap::new(fit.grid(), 16, vec![f32::NAN; 1600]).unwrap();
    let source = View { features: &source, fit: &fit };
    let target = View { features: &target, fit: &fit };
    let blank = View { features: &blank, fit: &fit };
    let points = [fit.from_token(Point::new(5.5, 0.5)), fit.from_token(Point::new(0.5, 0.5))];
    let found = run(&source, &target, &points, &settings(Matcher::Argmax {})).unwrap();
    assert_ne!(found[0].point, points[0]);
    assert!(found[1].point.distance(points[1]) < 1e-9);
    for (a, b) in [(&source, &blank), (&blank, &source)] {
        assert!(matches!(run(a, b, &points, &Settings::default()), Err(Error::NoFiniteSimilarity)));
    }
}

#[test]
fn images_without_features_and_of_one_token_are_matched() {
    let fit = Fit::new(FitMode::Squash, Size::new(30, 40), 14, 14).unwrap();
    let settings = Settings { top_k: 2, cycle: true, ..Settings::default() };
    for value in [0.0, 1.0] {
        let map = FeatureMap::new(Grid::new(1, 1), 4, vec![value; 4]).unwrap();
        let view = View { features: &map, fit: &fit };
        let found = run(&view, &view, &[Point::new(3.0, 4.0)], &settings).unwrap().remove(0);
        assert_eq!((found.point, found.similarity, found.confidence), (Point::new(15.0, 20.0), value, 1.0));
        // from (3, 4) to the only centre (15, 20)
        assert_eq!((found.cycle_error, found.candidates.len()), (Some(20.0), 1));
    }
}

#[test]
fn points_beyond_the_edge_are_read_at_the_border_but_must_be_finite() {
    let fit = fit(FitMode::Squash, 140, 140);
    let map = random_map(16, fit.grid(), 32);
    let view = View { features: &map, fit: &fit };
    let run = |x, y| run(&view, &view, &[Point::new(x, y)], &settings(Matcher::Argmax {}));
    assert_eq!(run(-5.0, 150.0).unwrap()[0].point, Point::new(7.0, 133.0));
    assert!(matches!(run(f64::NAN, 1.0), Err(Error::KeypointNotFinite { index: 0 })));
}

#[test]
fn maps_that_do_not_belong_together_are_refused() {
    let (small, large) = (fit(FitMode::Squash, 9, 9), Fit::new(FitMode::Squash, Size::new(9, 9), 280, 14).unwrap());
    let (map, other) = (random_map(17, small.grid(), 8), random_map(18, small.grid(), 9));
    let view = View { features: &map, fit: &small };
    let wrong_fit = View { features: &map, fit: &large };
    let other_model = View { features: &other, fit: &small };
    let run = |a, b| run(a, b, &[Point::new(1.0, 1.0)], &Settings::default()).unwrap_err().to_string();
    assert_eq!(run(&view, &wrong_fit), "the feature map has 10×10 tokens and its fit 20×20");
    assert_eq!(run(&wrong_fit, &view), "the feature map has 10×10 tokens and its fit 20×20");
    assert_eq!(
        run(&view, &other_model),
        "descriptors of 8 channels cannot be compared with a feature map of 9 channels"
    );
}
