//! There and back.

use homolog_core::features::FeatureMap;
use homolog_core::geometry::{Fit, FitMode, Grid, Point, Size};
use homolog_core::matching::*;

use super::{centres, fit, random_map, sharp};

#[test]
fn identical_maps_have_no_cycle_error() {
    let fit = fit(FitMode::Letterbox, 500, 375);
    let map = random_map(7, fit.grid(), 64);
    let view = View { features: &map, fit: &fit };
    let inside: Vec<Point> = centres(&fit).into_iter().filter(|&p| p == p.clamped_to(fit.image())).collect();
    for matcher in sharp() {
        let settings = Settings { matcher, cycle: true, ..Settings::default() };
        for found in run(&view, &view, &inside, &settings).unwrap() {
            assert!(found.cycle_error.unwrap() < 1e-6, "{matcher}: {found:?}");
        }
    }
    assert_eq!(run(&view, &view, &inside[..1], &Settings::default()).unwrap()[0].cycle_error, None);
}

#[test]
fn the_cycle_error_is_measured_in_source_pixels() {
    // source tokens A B, target tokens B' (nearer to A than C is) C: A goes to B', and B' comes back to B
    let fit_of = |width| Fit::new(FitMode::Aspect, Size::new(width, width / 2), 28, 14).unwrap();
    let (source_fit, target_fit) = (fit_of(200), fit_of(50));
    let source = FeatureMap::new(Grid::new(1, 2), 3, vec![1.0, 0.0, 0.0, 0.5, 1.0, 0.0]).unwrap();
    let target = FeatureMap::new(Grid::new(1, 2), 3, vec![0.4, 1.0, 0.0, 0.0, 0.0, 1.0]).unwrap();
    let (source, target) = (View { features: &source, fit: &source_fit }, View { features: &target, fit: &target_fit });
    let settings = Settings { matcher: Matcher::Argmax {}, cycle: true, ..Settings::default() };
    let found = run(&source, &target, &[Point::new(50.0, 50.0)], &settings).unwrap();
    assert_eq!((found[0].point, found[0].cycle_error), (Point::new(12.5, 12.5), Some(100.0)));
}
