//! The best few places instead of the best one.

use super::peak::{Region, Row};
use super::{Matcher, Peak};
use crate::Error;
use crate::geometry::Grid;

/// The `k` best places: the best token is taken, the tokens within Chebyshev distance `radius` of it are struck off, and so on.
///
/// A matcher with a window or a kernel refines each place by its own window or kernel round that token, struck-off tokens
/// included; argmax and soft-argmax report the token's centre, since one mean over all tokens says nothing of the second
/// best. The first place is that of [`peak`](super::peak), for every matcher but soft-argmax. Fewer than `k` come back when
/// no token is left. `confidence` and `ratio` refer to the window round each place; from the second on the ratio exceeds 1
/// if a better token lies outside it.
///
/// # Errors
/// [`Error::Shape`] if `similarity` is not `[h * w]`.
pub fn candidates(
    similarity: &[f32],
    grid: Grid,
    matcher: &Matcher,
    k: usize,
    radius: usize,
) -> Result<Vec<Peak>, Error> {
    let row = Row::new(similarity, grid, matcher.temperature())?;
    let mut open = vec![true; grid.len()];
    let mut peaks = Vec::new();
    while peaks.len() < k
        && let Some(index) = row.best(|index| open[index])
    {
        peaks.push(row.peak(index, matcher));
        for near in Region::around(index, radius, grid).indices(grid) {
            open[near] = false;
        }
    }
    Ok(peaks)
}
