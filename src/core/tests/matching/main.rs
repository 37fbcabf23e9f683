//! From two feature maps to matches.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod cycle;
mod edges;
mod similarity;

use homolog_core::features::{FeatureMap, Sampling};
use homolog_core::geometry::{Fit, FitMode, Grid, Point, Size};
use homolog_core::matching::*;

/// Descriptors without structure, always the same for a seed, on −1..1.
fn noise(seed: u64, length: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next()).collect()
}

fn random_map(seed: u64, grid: Grid, channels: usize) -> FeatureMap<'static> {
    FeatureMap::new(grid, channels, noise(seed, grid.len() * channels)).unwrap()
}

fn fit(mode: FitMode, width: u32, height: u32) -> Fit {
    Fit::new(mode, Size::new(width, height), 140, 14).unwrap()
}

fn centres(fit: &Fit) -> Vec<Point> {
    (0..fit.grid().len()).map(|index| fit.from_token(fit.grid().centre(index))).collect()
}

/// So sharp that random descriptors, whose cosines differ by a few tenths, leave nothing to the second best.
fn sharp() -> [Matcher; 4] {
    let temperature = Temperature::try_from(0.002).unwrap();
    [
        Matcher::Argmax {},
        Matcher::SoftArgmax { temperature },
        Matcher::WindowSoftArgmax { window: Window::DEFAULT, temperature },
        Matcher::KernelSoftArgmax { sigma: Sigma::DEFAULT, temperature },
    ]
}

fn settings(matcher: Matcher) -> Settings {
    Settings { matcher, ..Settings::default() }
}

#[test]
fn an_image_matched_with_itself_gives_every_point_back() {
    for mode in [FitMode::Squash, FitMode::Letterbox, FitMode::Pad, FitMode::Aspect] {
        let fit = fit(mode, 500, 375);
        let map = random_map(3, fit.grid(), 64);
        let view = View { features: &map, fit: &fit };
        let inside: Vec<Point> = centres(&fit).into_iter().filter(|&p| p == p.clamped_to(fit.image())).collect();
        for matcher in sharp() {
            for (found, point) in run(&view, &view, &inside, &settings(matcher)).unwrap().iter().zip(&inside) {
                assert!(found.point.distance(*point) < 1e-6, "{mode} {matcher}: {found:?} for {point:?}");
                assert!((found.similarity - 1.0).abs() < 1e-5);
                assert!(found.confidence > 0.99 && found.ratio.unwrap() < 0.8, "{found:?}");
            }
        }
    }
}

#[test]
fn a_shift_by_whole_tokens_is_found_exactly() {
    let (down, right, channels) = (2, 3, 64);
    let fit = fit(FitMode::Squash, 280, 420);
    let source = random_map(4, fit.grid(), channels);
    let mut data = noise(5, fit.grid().len() * channels);
    for i in 0..10 - down {
        for j in 0..10 - right {
            data[((i + down) * 10 + j + right) * channels..][..channels].copy_from_slice(source.token(i, j));
        }
    }
    let target = FeatureMap::new(fit.grid(), channels, data).unwrap();
    let (source, target) = (View { features: &source, fit: &fit }, View { features: &target, fit: &fit });
    let points: Vec<Point> = (0..10 - down)
        .flat_map(|i| (0..10 - right).map(move |j| Point::new(j as f64 + 0.5, i as f64 + 0.5)))
        .map(|token| fit.from_token(token))
        .collect();
    for matcher in sharp() {
        for (found, point) in run(&source, &target, &points, &settings(matcher)).unwrap().iter().zip(&points) {
            // a token is 28 × 42 px of the image
            let expected = Point::new(point.x + 3.0 * 28.0, point.y + 2.0 * 42.0);
            assert!(found.point.distance(expected) < 1e-6, "{matcher}: {found:?} for {point:?}");
        }
    }
}

#[test]
fn images_of_different_shapes_are_matched_in_their_own_pixels() {
    let (source_fit, target_fit) = (fit(FitMode::Squash, 280, 140), fit(FitMode::Squash, 70, 700));
    let map = random_map(6, Grid::new(10, 10), 32);
    let (source, target) = (View { features: &map, fit: &source_fit }, View { features: &map, fit: &target_fit });
    // token (2, 4): centre at 4.5/10 of the width and 2.5/10 of the height
    let found = run(&source, &target, &[Point::new(126.0, 35.0)], &settings(Matcher::Argmax {})).unwrap();
    assert!(found[0].point.distance(Point::new(31.5, 175.0)) < 1e-9);
}

#[test]
fn candidates_stay_apart_by_the_matchers_window() {
    let fit = fit(FitMode::Squash, 140, 140);
    let map = random_map(14, fit.grid(), 16);
    let view = View { features: &map, fit: &fit };
    let settings = Settings { matcher: Matcher::Argmax {}, top_k: 3, ..Settings::default() };
    let found = run(&view, &view, &[Point::new(35.0, 35.0)], &settings).unwrap().remove(0);
    assert_eq!(found.candidates.len(), 3);
    assert_eq!((found.candidates[0].point, found.candidates[0].similarity), (found.point, found.similarity));
    let distance = |a: Point, b: Point| (a.x - b.x).abs().max((a.y - b.y).abs());
    assert!(distance(found.candidates[0].point, found.candidates[1].point) > 2.0 * 14.0);
    assert!(run(&view, &view, &[Point::new(35.0, 35.0)], &Settings::default()).unwrap()[0].candidates.is_empty());
}

#[test]
fn the_sampling_is_that_of_the_settings() {
    let fit = Fit::new(FitMode::Aspect, Size::new(28, 14), 28, 14).unwrap();
    let source = FeatureMap::new(Grid::new(1, 2), 2, vec![1.0, 0.0, 0.0, 1.0]).unwrap();
    let view = View { features: &source, fit: &fit };
    // between the centres, nearer to the first: 0.75 and 0.25 mixed and normalised; cosine 0.75/√(0.75² + 0.25²)
    let point = [Point::new(10.5, 7.0)];
    let found = |sampling| {
        let settings = Settings { matcher: Matcher::Argmax {}, sampling, ..Settings::default() };
        run(&view, &view, &point, &settings).unwrap()[0].similarity
    };
    assert!((found(Sampling::Bilinear) - 0.75 / 0.625f32.sqrt()).abs() < 1e-6);
    assert_eq!(found(Sampling::Nearest), 1.0);
}
