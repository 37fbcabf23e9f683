#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_core::Error;
use homolog_core::features::{Descriptors, FeatureMap, Sampling};
use homolog_core::geometry::{Grid, Point};

/// Two rows of three tokens with two channels: (0, 0) (1, 10) (2, 20) / (3, 30) (4, 40) (5, 50).
fn map() -> FeatureMap<'static> {
    let data: Vec<f32> = (0..6).flat_map(|t| [t as f32, t as f32 * 10.0]).collect();
    FeatureMap::new(Grid::new(2, 3), 2, data).unwrap()
}

fn at(x: f64, y: f64, sampling: Sampling) -> Vec<f32> {
    map().sample(&[Point::new(x, y)], sampling).row(0).to_vec()
}

#[test]
fn bilinear_sampling_is_exact_at_centres() {
    assert_eq!(at(1.5, 0.5, Sampling::Bilinear), map().token(0, 1));
    assert_eq!(at(2.5, 1.5, Sampling::Bilinear), [5.0, 50.0]);
}

#[test]
fn bilinear_sampling_mixes_the_four_tokens_around() {
    // a quarter of the way from column 0 to 1, half-way between the rows:
    // 0.375 · 0 + 0.125 · 1 + 0.375 · 3 + 0.125 · 4 = 1.75
    assert_eq!(at(0.75, 1.0, Sampling::Bilinear), [1.75, 17.5]);
}

#[test]
fn nearest_sampling_reads_the_token_that_covers_the_point() {
    assert_eq!(at(0.99, 0.99, Sampling::Nearest), [0.0, 0.0]);
    // a token covers its left and upper edge and not the right and lower
    assert_eq!(at(1.0, 0.99, Sampling::Nearest), [1.0, 10.0]);
    assert_eq!(at(1.0, 1.0, Sampling::Nearest), [4.0, 40.0]);
}

#[test]
fn beyond_the_outermost_centres_the_border_token_counts_on() {
    for sampling in [Sampling::Bilinear, Sampling::Nearest] {
        assert_eq!(at(0.0, 0.0, sampling), [0.0, 0.0]);
        assert_eq!(at(3.0, 2.0, sampling), [5.0, 50.0]);
        assert_eq!(at(-100.0, 1e9, sampling), [3.0, 30.0]);
    }
    // clamped in x only: half-way between (0, 2) and (1, 2)
    assert_eq!(at(3.0, 1.0, Sampling::Bilinear), [3.5, 35.0]);
}

#[test]
fn a_neighbour_without_weight_takes_no_part() {
    let map = FeatureMap::new(Grid::new(1, 2), 1, vec![7.0, f32::NAN]).unwrap();
    assert_eq!(map.sample(&[Point::new(0.5, 0.5)], Sampling::Bilinear).row(0), [7.0]);
    assert!(map.sample(&[Point::new(0.75, 0.5)], Sampling::Bilinear).row(0)[0].is_nan());
}

#[test]
fn a_stray_point_does_not_panic() {
    for sampling in [Sampling::Bilinear, Sampling::Nearest] {
        for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(map().sample(&[Point::new(x, x)], sampling).len(), 1);
        }
    }
}

#[test]
fn normalised_tokens_have_length_one_and_zero_stays_zero() {
    let map = FeatureMap::new(Grid::new(1, 3), 2, vec![3.0, 4.0, 0.0, 0.0, 1e30, 1e30]).unwrap().normalised();
    assert_eq!(map.token(0, 0), [0.6, 0.8]);
    assert_eq!(map.token(0, 1), [0.0, 0.0]);
    // the squares of these overflow an f32
    assert_eq!(map.token(0, 2), [0.5f32.sqrt(), 0.5f32.sqrt()]);
    let queries = Descriptors::new(2, vec![0.0, 0.0, 0.0, 2.0]).unwrap().normalised();
    assert_eq!(queries.data(), [0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn a_map_borrows_until_it_is_asked_not_to() {
    let data = vec![1.0; 12];
    let borrowed = FeatureMap::new(Grid::new(2, 3), 2, &data[..]).unwrap();
    assert_eq!(borrowed.data().as_ptr(), data.as_ptr());
    let owned = borrowed.into_owned();
    drop(data);
    assert_eq!(owned.data(), [1.0; 12]);
}

#[test]
fn buffers_that_do_not_fit_their_shape_are_refused() {
    let error = FeatureMap::new(Grid::new(2, 3), 4, vec![0.0; 23]).unwrap_err();
    assert_eq!(error.to_string(), "a feature map of 6 × 4 numbers was expected, and 23 were given");
    for (grid, channels) in [(Grid::new(0, 3), 4), (Grid::new(2, 3), 0), (Grid::new(usize::MAX / 2, 1), 3)] {
        assert!(matches!(FeatureMap::new(grid, channels, vec![]), Err(Error::Shape { .. })));
    }
    assert!(matches!(Descriptors::new(4, vec![0.0; 7]), Err(Error::Shape { .. })));
    assert!(matches!(Descriptors::new(0, vec![0.0; 7]), Err(Error::Shape { .. })));
    assert!(Descriptors::new(4, vec![]).unwrap().is_empty());
}

#[test]
fn samplings_are_written_as_they_are_read() {
    for sampling in [Sampling::Bilinear, Sampling::Nearest] {
        assert_eq!(sampling.to_string().parse::<Sampling>().unwrap(), sampling);
        assert_eq!(serde_json::to_string(&sampling).unwrap(), format!("\"{sampling}\""));
    }
    assert_eq!(
        "cubic".parse::<Sampling>().unwrap_err().to_string(),
        "`cubic` is no sampling; choose one of bilinear, nearest"
    );
}
