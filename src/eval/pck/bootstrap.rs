//! Percentile intervals by drawing the pairs again, with replacement.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How intervals are made: pairs are drawn again `resamples` times, as many as there are, with replacement.
///
/// A resample's draws depend on the seed and its own number alone, so that the result is the same bits on any number of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Bootstrap {
    /// How many times, at most 100,000; 0 gives no interval.
    #[cfg_attr(feature = "openapi", schema(maximum = 100_000))]
    pub resamples: u32,
    /// Where the draws begin.
    pub seed: u64,
}

impl Bootstrap {
    /// The greatest number of resamples that is computed.
    pub const MOST: u32 = 100_000;
}

impl Default for Bootstrap {
    fn default() -> Bootstrap {
        Bootstrap { resamples: 1000, seed: 0 }
    }
}

/// The middle 95 % of the resamples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Interval {
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
}

/// The interval of each of the values that `statistic` makes of drawn indices below `count`. Resamples in which a value is not
/// finite (a category that was not drawn) do not take part in that value's interval.
pub(super) fn intervals(
    count: usize,
    bootstrap: &Bootstrap,
    statistic: impl Fn(&[usize]) -> Vec<f64> + Sync,
) -> Vec<Option<Interval>> {
    let resamples: Vec<Vec<f64>> = (0..u64::from(bootstrap.resamples.min(Bootstrap::MOST)))
        .into_par_iter()
        .map(|number| statistic(&draw(count, bootstrap.seed, number)))
        .collect();
    let values = resamples.first().map_or_else(|| statistic(&[]).len(), Vec::len);
    (0..values)
        .map(|value| {
            let mut drawn: Vec<f64> = resamples.iter().filter_map(|resample| resample.get(value).copied()).collect();
            drawn.retain(|value| value.is_finite());
            drawn.sort_by(f64::total_cmp);
            Some(Interval { low: percentile(&drawn, 0.025)?, high: percentile(&drawn, 0.975)? })
        })
        .collect()
}

fn draw(count: usize, seed: u64, number: u64) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(number);
    // the upper half of the product: a number below `count`, its bias below count / 2^64
    (0..count).map(|_| ((u128::from(random.next_u64()) * count as u128) >> 64) as usize).collect()
}

/// The percentile of ascending values, interpolated linearly between the two beside it (R's type 7, NumPy's default).
pub(crate) fn percentile(ascending: &[f64], share: f64) -> Option<f64> {
    let at = share * ascending.len().checked_sub(1)? as f64;
    let below = *ascending.get(at.floor() as usize)?;
    let above = ascending.get(at.floor() as usize + 1).copied().unwrap_or(below);
    Some(below + (above - below) * (at - at.floor()))
}
