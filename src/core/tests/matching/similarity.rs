//! The product itself, and that it is the same bits every time.

use homolog_core::features::Descriptors;
use homolog_core::geometry::{Fit, FitMode, Grid, Point, Size};
use homolog_core::matching::*;

use super::{noise, random_map};

#[test]
fn similarities_are_dot_products() {
    for (queries, grid, channels) in [(1, Grid::new(1, 1), 1), (3, Grid::new(2, 3), 5), (33, Grid::new(7, 9), 67)] {
        let query = Descriptors::new(channels, noise(1, queries * channels)).unwrap();
        let map = random_map(2, grid, channels);
        let found = similarity(&query, &map).unwrap();
        assert_eq!(found.len(), queries * grid.len());
        for q in 0..queries {
            for t in 0..grid.len() {
                let token = map.token(t / grid.width, t % grid.width);
                let expected: f64 = query.row(q).iter().zip(token).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                assert!((f64::from(found[q * grid.len() + t]) - expected).abs() < 1e-5);
            }
        }
    }
    assert!(similarity(&Descriptors::new(4, vec![]).unwrap(), &random_map(1, Grid::new(2, 2), 4)).unwrap().is_empty());
}

#[test]
fn the_same_arguments_give_the_same_bits_in_any_company() {
    let fit = Fit::new(FitMode::Squash, Size::new(640, 480), 224, 14).unwrap();
    let (source, target) = (random_map(11, fit.grid(), 384), random_map(12, fit.grid(), 384));
    let (source, target) = (View { features: &source, fit: &fit }, View { features: &target, fit: &fit });
    let points: Vec<Point> = noise(13, 600)
        .chunks(2)
        .map(|pair| Point::new(f64::from(pair[0] + 1.0) * 320.0, f64::from(pair[1] + 1.0) * 240.0))
        .collect();
    let settings = Settings { top_k: 3, cycle: true, ..Settings::default() };
    let together = run(&source, &target, &points, &settings).unwrap();
    assert_eq!(together.len(), 300);
    assert_eq!(run(&source, &target, &points, &settings).unwrap(), together);
    for n in [0, 1, 31, 32, 255, 256, 299] {
        assert_eq!(run(&source, &target, &points[n..=n], &settings).unwrap()[0], together[n], "point {n}");
    }
}
