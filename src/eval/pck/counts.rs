//! Counting hits and averaging the counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Alphas, Average, Bootstrap, Interval, Settings, bootstrap};
use crate::Error;
use crate::result::{KeypointResult, PairResult};

/// A pair's hits at each α.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts<'a> {
    /// The pair's name.
    pub pair: &'a str,
    /// Its category.
    pub category: &'a str,
    /// Keypoints that count.
    pub points: usize,
    /// How many of them are right, for each α.
    pub hits: Vec<u32>,
}

impl<'a> Counts<'a> {
    /// Counts the keypoints that `counts` lets through.
    ///
    /// # Errors
    /// [`Error::NoThreshold`] if the pair has no such extent.
    pub fn new(
        result: &'a PairResult,
        settings: &Settings,
        counts: impl Fn(&KeypointResult) -> bool,
    ) -> Result<Counts<'a>, Error> {
        let threshold = settings.threshold;
        let missing = || Error::NoThreshold { pair: result.pair.clone(), threshold };
        let extent = result.extents.of(threshold).ok_or_else(missing)?;
        let keypoints: Vec<&KeypointResult> = result.keypoints.iter().filter(|keypoint| counts(keypoint)).collect();
        let right = |alpha: f64| {
            keypoints.iter().filter(|keypoint| settings.operator.is_right(keypoint.error, alpha, extent)).count() as u32
        };
        Ok(Counts {
            pair: &result.pair,
            category: &result.category,
            points: keypoints.len(),
            hits: settings.alphas.iter().map(|&alpha| right(alpha)).collect(),
        })
    }

    /// Counts of all results, in the order of the pairs' names, whatever order they come in. A pair of which no keypoint counts
    /// is not among them.
    ///
    /// # Errors
    /// As [`new`](Counts::new).
    pub fn of(
        results: impl IntoIterator<Item = &'a PairResult>,
        settings: &Settings,
        counts: impl Fn(&KeypointResult) -> bool,
    ) -> Result<Vec<Counts<'a>>, Error> {
        let mut all = Vec::new();
        for result in results {
            let counted = Counts::new(result, settings, &counts)?;
            if counted.points > 0 {
                all.push(counted);
            }
        }
        all.sort_by_key(|counts| counts.pair);
        Ok(all)
    }
}

/// A PCK with its name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Score {
    /// How it was averaged.
    pub average: Average,
    /// The share of the extent.
    pub alpha: f64,
    /// Share of right keypoints, 0 to 1.
    pub value: f64,
    /// Where it may lie by chance of the choice of pairs.
    pub interval: Option<Interval>,
}

/// PCK of some pairs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Scores {
    /// Pairs with a keypoint that counts.
    pub pairs: usize,
    /// Keypoints that count.
    pub points: usize,
    /// For each average, for each α; empty without pairs.
    pub scores: Vec<Score>,
}

impl Scores {
    /// The score of this average at this α.
    pub fn get(&self, average: Average, alpha: f64) -> Option<Score> {
        self.scores.iter().copied().find(|score| score.average == average && score.alpha == alpha)
    }
}

/// PCK of all pairs, by every average.
pub fn score(counts: &[Counts<'_>], alphas: &Alphas, bootstrap: Option<&Bootstrap>) -> Scores {
    let table = Table::new(counts, alphas.len());
    let values = table.averages(0..counts.len());
    let intervals = match bootstrap {
        Some(bootstrap) => bootstrap::intervals(counts.len(), bootstrap, |picks| table.averages(picks.iter().copied())),
        None => vec![None; values.len()],
    };
    let names = Average::ALL.iter().flat_map(|average| alphas.iter().map(move |alpha| (*average, *alpha)));
    let scores = names.zip(values).zip(intervals);
    Scores {
        pairs: counts.len(),
        points: counts.iter().map(|counts| counts.points).sum(),
        scores: scores
            .filter(|((_, value), _)| value.is_finite())
            .map(|(((average, alpha), value), interval)| Score { average, alpha, value, interval })
            .collect(),
    }
}

/// Counts made ready for being averaged many times.
pub(super) struct Table {
    alphas: usize,
    /// Where the sums of each pair's category and number of points begin.
    place: Vec<usize>,
    /// Each pair's hits, one pair after the other.
    hits: Vec<u32>,
    categories: usize,
    /// Greatest number of points of a pair.
    most: usize,
}

impl Table {
    pub fn new(counts: &[Counts<'_>], alphas: usize) -> Table {
        let mut names: BTreeMap<&str, usize> = counts.iter().map(|counts| (counts.category, 0)).collect();
        for (index, place) in names.values_mut().enumerate() {
            *place = index;
        }
        let most = counts.iter().map(|counts| counts.points).max().unwrap_or_default();
        let place = |counts: &Counts<'_>| {
            let category = names.get(counts.category).copied().unwrap_or_default();
            (category * (most + 1) + counts.points) * (alphas + 1)
        };
        Table {
            alphas,
            place: counts.iter().map(place).collect(),
            hits: counts.iter().flat_map(|counts| counts.hits.iter().copied()).collect(),
            categories: names.len(),
            most,
        }
    }

    /// Every average at every α of the picked pairs, in the order of [`Average::ALL`]; NaN without pairs.
    ///
    /// Pairs are gathered by category and number of points, as whole numbers, before anything is divided: the result is the same
    /// bits in whatever order the pairs come.
    pub fn averages(&self, picks: impl Iterator<Item = usize>) -> Vec<f64> {
        let width = self.alphas + 1;
        let mut sums = vec![0_u64; self.categories * (self.most + 1) * width];
        for pick in picks {
            let hits = self.hits.get(pick * self.alphas..(pick + 1) * self.alphas);
            let (Some(&at), Some(hits)) = (self.place.get(pick), hits) else { continue };
            if let Some((pairs, sums)) = sums.get_mut(at..at + width).and_then(|row| row.split_first_mut()) {
                *pairs += 1;
                for (sum, hit) in sums.iter_mut().zip(hits) {
                    *sum += u64::from(*hit);
                }
            }
        }
        let per_category: Vec<Tally> =
            sums.chunks_exact((self.most + 1) * width).map(|rows| Tally::new(rows, width)).collect();
        let mut pooled = vec![0; (self.most + 1) * width];
        for rows in sums.chunks_exact((self.most + 1) * width) {
            for (sum, value) in pooled.iter_mut().zip(rows) {
                *sum += value;
            }
        }
        let all = Tally::new(&pooled, width);
        let seen: Vec<&Tally> = per_category.iter().filter(|tally| tally.pairs > 0).collect();
        let mean = |of: fn(&Tally, usize) -> f64, alpha: usize| {
            seen.iter().map(|tally| of(tally, alpha)).sum::<f64>() / seen.len() as f64
        };
        let mut values = Vec::with_capacity(4 * self.alphas);
        values.extend((0..self.alphas).map(|alpha| all.per_image(alpha)));
        values.extend((0..self.alphas).map(|alpha| all.per_point(alpha)));
        values.extend((0..self.alphas).map(|alpha| mean(Tally::per_image, alpha)));
        values.extend((0..self.alphas).map(|alpha| mean(Tally::per_point, alpha)));
        values
    }
}

/// Sums over some pairs, for each α.
struct Tally {
    pairs: u64,
    points: u64,
    hits: Vec<u64>,
    /// Sums of the pairs' shares of right keypoints.
    shares: Vec<f64>,
}

impl Tally {
    /// `rows[n]` is the number of pairs of n points, followed by their hits at each α.
    fn new(rows: &[u64], width: usize) -> Tally {
        let mut tally = Tally { pairs: 0, points: 0, hits: vec![0; width - 1], shares: vec![0.0; width - 1] };
        for (points, row) in rows.chunks_exact(width).enumerate().skip(1) {
            let Some((pairs, hits)) = row.split_first() else { continue };
            if *pairs == 0 {
                continue;
            }
            tally.pairs += pairs;
            tally.points += pairs * points as u64;
            for ((sum, share), hits) in tally.hits.iter_mut().zip(&mut tally.shares).zip(hits) {
                *sum += hits;
                *share += *hits as f64 / points as f64;
            }
        }
        tally
    }

    fn per_image(&self, alpha: usize) -> f64 {
        self.shares.get(alpha).map_or(f64::NAN, |share| share / self.pairs as f64)
    }

    fn per_point(&self, alpha: usize) -> f64 {
        self.hits.get(alpha).map_or(f64::NAN, |hits| *hits as f64 / self.points as f64)
    }
}
