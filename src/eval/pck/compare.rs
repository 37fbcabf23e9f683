//! Two runs over the same pairs: how much better one is, and where.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counts::Table;
use super::{Average, Counts, Interval, Settings, bootstrap};
use crate::Error;
use crate::result::PairResult;

/// Difference of two runs, second minus first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Comparison {
    /// Pairs that both runs have.
    pub pairs: usize,
    /// Names of pairs that only the first run has.
    pub only_first: Vec<String>,
    /// Names of pairs that only the second run has.
    pub only_second: Vec<String>,
    /// For each average, for each α.
    pub differences: Vec<Difference>,
    /// The α by which the pairs below are ordered.
    pub change_alpha: f64,
    /// The pairs that changed most, the greatest change first.
    pub changed: Vec<Change>,
}

/// Difference of a PCK.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Difference {
    /// How both were averaged.
    pub average: Average,
    /// The share of the extent.
    pub alpha: f64,
    /// Of the first run, 0 to 1.
    pub first: f64,
    /// Of the second run, 0 to 1.
    pub second: f64,
    /// Second minus first.
    pub difference: f64,
    /// Where the difference may lie by chance of the choice of pairs: both runs are drawn together, pair by pair.
    pub interval: Option<Interval>,
}

/// A pair that one run found better than the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// The pair.
    pub pair: String,
    /// Its category.
    pub category: String,
    /// Share of its keypoints that the first run found.
    pub first: f64,
    /// Share that the second run found.
    pub second: f64,
    /// Mean distance to the truth as a share of the extent, of the first run.
    pub first_error: f64,
    /// The same of the second run.
    pub second_error: f64,
}

/// Compares two runs on the pairs that both have. The `most` pairs that changed most are those whose share of right keypoints at
/// `change_alpha` changed most; among equals, those whose mean error did.
///
/// # Errors
/// [`Error::NothingInCommon`]; [`Error::Incomparable`] if a run has a pair twice, or the truths differ; [`Error::NoThreshold`];
/// [`Error::Setting`] if `change_alpha` is none of the settings' α.
pub fn compare(
    first: &[PairResult],
    second: &[PairResult],
    settings: &Settings,
    change_alpha: f64,
    most: usize,
) -> Result<Comparison, Error> {
    let (mut left, mut right) = (by_name(first)?, by_name(second)?);
    let only_first = remove_strangers(&mut left, &right);
    let only_second = remove_strangers(&mut right, &left);
    if left.is_empty() {
        return Err(Error::NothingInCommon);
    }
    for (one, other) in left.values().zip(right.values()) {
        check_same(one, other)?;
    }
    let a = Counts::of(left.values().copied(), settings, |_| true)?;
    let b = Counts::of(right.values().copied(), settings, |_| true)?;
    let (first, second) = (Table::new(&a, settings.alphas.len()), Table::new(&b, settings.alphas.len()));
    let difference = |picks: &[usize]| -> Vec<f64> {
        let (first, second) = (first.averages(picks.iter().copied()), second.averages(picks.iter().copied()));
        second.iter().zip(first).map(|(second, first)| second - first).collect()
    };
    let intervals = match &settings.bootstrap {
        Some(bootstrap) => bootstrap::intervals(a.len(), bootstrap, difference),
        None => vec![None; Average::ALL.len() * settings.alphas.len()],
    };
    let names = Average::ALL.iter().flat_map(|average| settings.alphas.iter().map(move |alpha| (*average, *alpha)));
    let values = first.averages(0..a.len()).into_iter().zip(second.averages(0..b.len()));
    let differences = names.zip(values).zip(intervals).map(|(((average, alpha), (first, second)), interval)| {
        Difference { average, alpha, first, second, difference: second - first, interval }
    });
    let differences = differences.collect();
    let mut changed = changes(&left, &right, settings, change_alpha)?;
    changed.truncate(most);
    Ok(Comparison { pairs: left.len(), only_first, only_second, differences, change_alpha, changed })
}

type Named<'a> = BTreeMap<&'a str, &'a PairResult>;

fn by_name(results: &[PairResult]) -> Result<Named<'_>, Error> {
    let named: Named<'_> = results.iter().map(|result| (result.pair.as_str(), result)).collect();
    if named.len() == results.len() {
        Ok(named)
    } else {
        Err(Error::Incomparable { detail: "a run has a pair twice".to_owned() })
    }
}

fn remove_strangers(named: &mut Named<'_>, other: &Named<'_>) -> Vec<String> {
    let strangers: Vec<String> =
        named.keys().filter(|name| !other.contains_key(*name)).map(|name| (*name).to_owned()).collect();
    named.retain(|name, _| other.contains_key(name));
    strangers
}

fn check_same(one: &PairResult, other: &PairResult) -> Result<(), Error> {
    let same_points = one.keypoints.len() == other.keypoints.len()
        && one.keypoints.iter().zip(&other.keypoints).all(|(a, b)| a.id == b.id && a.truth == b.truth);
    if same_points && one.extents == other.extents {
        Ok(())
    } else {
        let detail = format!("pair {} has other keypoints in one run than in the other", one.pair);
        Err(Error::Incomparable { detail })
    }
}

fn changes(left: &Named<'_>, right: &Named<'_>, settings: &Settings, alpha: f64) -> Result<Vec<Change>, Error> {
    let place = settings.alphas.iter().position(|other| *other == alpha).ok_or_else(|| Error::Setting {
        name: "the alpha of the changes",
        range: "one of the alphas",
        found: alpha.to_string(),
    })?;
    let share = |result: &PairResult| -> Result<(f64, f64), Error> {
        let counts = Counts::new(result, settings, |_| true)?;
        let hits = counts.hits.get(place).copied().unwrap_or_default();
        let extent = result.extents.of(settings.threshold).unwrap_or(f64::NAN);
        let errors: f64 = result.keypoints.iter().map(|keypoint| keypoint.error).sum();
        let points = counts.points.max(1) as f64;
        Ok((f64::from(hits) / points, errors / points / extent))
    };
    let mut changes = Vec::new();
    for (one, other) in left.values().zip(right.values()) {
        let ((first, first_error), (second, second_error)) = (share(one)?, share(other)?);
        if first != second || first_error != second_error {
            let (pair, category) = (one.pair.clone(), one.category.clone());
            changes.push(Change { pair, category, first, second, first_error, second_error });
        }
    }
    let size =
        |change: &Change| ((change.second - change.first).abs(), (change.second_error - change.first_error).abs());
    // stable: the order of names among equals
    changes.sort_by(|a, b| {
        let (a, b) = (size(a), size(b));
        b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1))
    });
    Ok(changes)
}
