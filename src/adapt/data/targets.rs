//! Points in token units as what a loss takes of them: rows over the tokens of a grid.
//!
//! All are computed in double precision and written as single; rows are `[tokens]`, row-major over the grid.

use homolog_core::geometry::{Grid, Point};

use crate::Error;

/// Writes the mixture of tokens that a point reads: `row · features` is the descriptor there.
///
/// As [`FeatureMap::sample`](homolog_core::features::FeatureMap::sample) with bilinear sampling: between centres by distance, beyond
/// the outermost centres the border token counts on. `row` is `[tokens]`; all of it is written, and adds up to one.
pub fn bilinear_weights(point: Point, grid: Grid, row: &mut [f32]) {
    row.fill(0.0);
    for (token, weight) in grid.neighbours(point) {
        row[token] += weight; // at the border a token is its own neighbour
    }
}

/// Writes the centres of the tokens in token units, `[tokens, 2]`, x before y: what a soft-argmax takes the expectation of.
pub fn token_centres(grid: Grid, centres: &mut [f32]) {
    for (index, centre) in centres.as_chunks_mut::<2>().0.iter_mut().enumerate().take(grid.len()) {
        let Point { x, y } = grid.centre(index);
        *centre = [x as f32, y as f32];
    }
}

/// A target that is spread over the tokens round its point, for a cross entropy that forgives a neighbour.
///
/// Kernel 7 and σ 1.5 are those of Visual-AI's recipe (PROTOCOLS: DINOv2-B, last 2 blocks).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smoothing {
    kernel: usize,
    sigma: f64,
}

impl Default for Smoothing {
    fn default() -> Smoothing {
        Smoothing { kernel: 7, sigma: 1.5 }
    }
}

impl Smoothing {
    /// A window of `kernel` × `kernel` tokens and a Gaussian of `sigma` tokens.
    ///
    /// # Errors
    /// [`Error::Setting`] unless `kernel` is odd and `sigma` is above 0 and finite.
    pub fn new(kernel: usize, sigma: f64) -> Result<Smoothing, Error> {
        if kernel.is_multiple_of(2) {
            return Err(Error::Setting {
                field: "kernel",
                reason: format!("{kernel} is not odd: a window has a middle"),
            });
        }
        if !(sigma > 0.0 && sigma.is_finite()) {
            return Err(Error::Setting { field: "sigma", reason: format!("{sigma} is not above 0 tokens") });
        }
        Ok(Smoothing { kernel, sigma })
    }

    /// Side of the window, tokens.
    pub fn kernel(&self) -> usize {
        self.kernel
    }

    /// Standard deviation of the Gaussian, tokens.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// Writes exp(−|c − p|² / 2σ²) for the centres c of the tokens in the window round the token that holds `point`, divided by
    /// their sum, and 0 elsewhere.
    ///
    /// The window is clipped at the border. `row` is `[tokens]`; all of it is written, and adds up to one.
    pub fn write(&self, point: Point, grid: Grid, row: &mut [f32]) {
        row.fill(0.0);
        let (middle, radius) = (grid.token_at(point), self.kernel / 2);
        let (i, j) = (middle / grid.width.max(1), middle % grid.width.max(1));
        let rows = i.saturating_sub(radius)..(i + radius + 1).min(grid.height);
        let columns = j.saturating_sub(radius)..(j + radius + 1).min(grid.width);
        let tokens = || rows.clone().flat_map(|i| columns.clone().map(move |j| i * grid.width + j));
        let exponent = |token: usize| -(grid.centre(token).distance(point) / self.sigma).powi(2) / 2.0;
        // the largest is taken off first, so that a narrow Gaussian does not vanish between two centres
        let largest = tokens().map(exponent).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = tokens().map(|token| (exponent(token) - largest).exp()).sum();
        for token in tokens() {
            row[token] = ((exponent(token) - largest).exp() / sum) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use homolog_core::features::{FeatureMap, Sampling};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_point_between_four_centres_reads_each_by_its_distance() {
        let mut row = [9.0; 6];
        // a quarter of the way from column 0 to 1, three quarters of the way from row 0 to 1
        bilinear_weights(Point::new(0.75, 1.25), Grid::new(2, 3), &mut row);
        assert_eq!(row, [0.1875, 0.0625, 0.0, 0.5625, 0.1875, 0.0]);
    }

    #[test]
    fn beyond_the_outermost_centres_the_border_token_counts_on() {
        let mut row = [9.0; 4];
        bilinear_weights(Point::new(0.1, -3.0), Grid::new(2, 2), &mut row);
        assert_eq!(row, [1.0, 0.0, 0.0, 0.0]);
        bilinear_weights(Point::new(1.0, 2.0), Grid::new(2, 2), &mut row);
        assert_eq!(row, [0.0, 0.0, 0.5, 0.5]);
    }

    #[test]
    fn centres_are_at_a_half_x_before_y() {
        let mut centres = [0.0; 12];
        token_centres(Grid::new(2, 3), &mut centres);
        assert_eq!(centres, [0.5, 0.5, 1.5, 0.5, 2.5, 0.5, 0.5, 1.5, 1.5, 1.5, 2.5, 1.5]);
    }

    #[test]
    fn a_target_on_a_centre_falls_off_as_the_gaussian_does() -> Result<(), Error> {
        let mut row = [9.0; 25];
        Smoothing::new(3, 1.0)?.write(Point::new(2.5, 2.5), Grid::new(5, 5), &mut row);
        // 1 + 4·e^−½ + 4·e^−1 = 4.8976403
        let (middle, side, corner) = (0.20418, 0.12384, 0.07511);
        let expected = [corner, side, corner, side, middle, side, corner, side, corner];
        let found = [6, 7, 8, 11, 12, 13, 16, 17, 18].map(|token| row[token]);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        assert_eq!(row.iter().filter(|&&weight| weight == 0.0).count(), 16);
        Ok(())
    }

    #[test]
    fn a_target_off_a_centre_leans_to_the_nearer_token() -> Result<(), Error> {
        let mut row = [9.0; 3];
        // centres at 0.5, 1.5, 2.5 and the point at 1.75, σ 0.5: exponents −3.125, −0.125, −1.125
        Smoothing::new(3, 0.5)?.write(Point::new(1.75, 0.5), Grid::new(1, 3), &mut row);
        let sum = (-3.125_f64).exp() + (-0.125_f64).exp() + (-1.125_f64).exp();
        let expected = [-3.125_f64, -0.125, -1.125].map(|exponent| exponent.exp() / sum);
        for (&found, expected) in row.iter().zip(expected) {
            assert!((f64::from(found) - expected).abs() < 1e-7, "{found} {expected}");
        }
        Ok(())
    }

    #[test]
    fn a_window_is_clipped_at_the_border() {
        let mut row = [9.0; 100];
        Smoothing::default().write(Point::new(0.5, 9.5), Grid::new(10, 10), &mut row);
        let held: Vec<usize> = (0..100).filter(|&token| row[token] > 0.0).collect();
        let expected: Vec<usize> = (6..10).flat_map(|i| (0..4).map(move |j| 10 * i + j)).collect();
        assert_eq!(held, expected);
    }

    #[test]
    fn a_gaussian_much_narrower_than_a_token_is_still_a_target() -> Result<(), Error> {
        let mut row = [9.0; 9];
        Smoothing::new(3, 1e-3)?.write(Point::new(1.0, 1.5), Grid::new(3, 3), &mut row);
        assert_eq!(row[3..5], [0.5, 0.5]);
        Ok(())
    }

    #[test]
    fn an_even_window_or_no_width_is_a_wrong_setting() {
        assert!(matches!(Smoothing::new(4, 1.0), Err(Error::Setting { field: "kernel", .. })));
        for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(Smoothing::new(7, sigma), Err(Error::Setting { field: "sigma", .. })));
        }
    }

    fn maps() -> impl Strategy<Value = (Grid, usize, Vec<f32>)> {
        (1..6_usize, 1..6_usize, 1..4_usize).prop_flat_map(|(height, width, channels)| {
            let values = prop::collection::vec(-1.0..1.0_f32, height * width * channels);
            (Just(Grid::new(height, width)), Just(channels), values)
        })
    }

    proptest! {
        #[test]
        fn weights_read_a_map_as_sampling_does((grid, channels, values) in maps(), x in -1.0..7.0_f64, y in -1.0..7.0_f64) {
            let point = Point::new(x, y);
            let mut row = vec![9.0; grid.len()];
            bilinear_weights(point, grid, &mut row);
            let map = FeatureMap::new(grid, channels, values.as_slice()).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let sampled = map.sample(&[point], Sampling::Bilinear);
            for (channel, &sampled) in sampled.data().iter().enumerate() {
                let read: f32 = row.iter().zip(values.chunks(channels)).map(|(weight, token)| weight * token[channel]).sum();
                prop_assert!((read - sampled).abs() < 1e-6, "{read} {sampled}");
            }
        }

        #[test]
        fn a_target_adds_up_to_one_wherever_its_point_is(height in 1..40_usize, width in 1..40_usize, x in -5.0..45.0_f64, y in -5.0..45.0_f64) {
            let mut row = vec![9.0; height * width];
            Smoothing::default().write(Point::new(x, y), Grid::new(height, width), &mut row);
            let sum: f32 = row.iter().sum();
            prop_assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        }
    }
}
