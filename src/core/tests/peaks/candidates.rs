//! The best few places.

use homolog_core::geometry::{Grid, Point};
use homolog_core::matching::*;
use proptest::prelude::*;

use super::{GRID, any_row, every_matcher, near, nearly, tau, temperature, window};

#[test]
fn candidates_keep_their_distance() {
    //           0    1    2    3    4    5    6    7
    let row = [0.1, 0.9, 0.8, 0.2, 0.1, 0.5, 0.6, 0.3];
    let grid = Grid::new(1, 8);
    let indices = |k, radius| -> Vec<usize> {
        candidates(&row, grid, &Matcher::Argmax {}, k, radius).unwrap().iter().map(|peak| peak.index).collect()
    };
    assert_eq!(indices(3, 0), [1, 2, 6]);
    assert_eq!(indices(3, 1), [1, 6, 3]);
    assert_eq!(indices(3, 2), [1, 6]);
    assert_eq!(indices(9, 7), [1]);
    assert!(indices(0, 1).is_empty());
    // distance is Chebyshev's: the diagonal neighbour is struck off too, and the row's end is no neighbour of the next start
    let square = [0.9, 0.0, 0.7, 0.6, 0.8, 0.0, 0.5, 0.0, 0.0];
    let found = candidates(&square, GRID, &Matcher::Argmax {}, 3, 1).unwrap();
    assert_eq!(found.iter().map(|peak| peak.index).collect::<Vec<_>>(), [0, 2, 6]);
}

#[test]
fn candidates_are_refined_by_their_own_window() {
    // weights 2 16 2 1 1 1 8 4: the window of 3 round 6 has 1 8 4
    let row = [0.2, 0.8, 0.2, 0.0, 0.0, 0.0, 0.6, 0.4];
    let grid = Grid::new(1, 8);
    let matcher = Matcher::WindowSoftArgmax { window: window(3), temperature: tau() };
    let found = candidates(&row, grid, &matcher, 2, 1).unwrap();
    near(found[0].point, 1.5, 0.5);
    near(found[1].point, (5.5 + 8.0 * 6.5 + 4.0 * 7.5) / 13.0, 0.5);
    nearly(found[1].confidence, 13.0 / 35.0);
    nearly(found[1].ratio.unwrap(), 0.8 / 0.6);
    // the mean over everything says nothing of the second best: a token's centre instead
    let found = candidates(&row, grid, &Matcher::SoftArgmax { temperature: tau() }, 2, 1).unwrap();
    assert_eq!((found[0].point, found[1].point), (Point::new(1.5, 0.5), Point::new(6.5, 0.5)));
}

proptest! {
    #[test]
    fn the_first_candidate_is_the_peak((grid, row) in any_row(), radius in 0usize..4, k in 1usize..6) {
        for matcher in every_matcher(temperature(0.05)) {
            let found = candidates(&row, grid, &matcher, k, radius).unwrap();
            if !matches!(matcher, Matcher::SoftArgmax { .. }) {
                prop_assert_eq!(found[0], peak(&row, grid, &matcher).unwrap());
            }
            prop_assert!(found.len() <= k);
            for (n, one) in found.iter().enumerate() {
                for other in &found[..n] {
                    prop_assert!(one.similarity <= other.similarity);
                    let (a, b) = (grid.centre(one.index), grid.centre(other.index));
                    prop_assert!((a.x - b.x).abs().max((a.y - b.y).abs()) > radius as f64);
                }
            }
        }
    }
}
