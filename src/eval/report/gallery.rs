//! Which pairs a run is shown by: its best, its middling and its worst.

use std::collections::{HashMap, HashSet};

use crate::Error;
use crate::pck::{Alphas, Counts, Settings};
use crate::result::PairResult;

/// Pairs of each kind.
pub const EACH: usize = 4;

/// The pairs shown of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Gallery<'a> {
    /// The best, best first.
    pub best: Vec<Shown<'a>>,
    /// Those in the middle, best first.
    pub median: Vec<Shown<'a>>,
    /// The worst, worst first.
    pub worst: Vec<Shown<'a>>,
}

/// A pair and how well it was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown<'a> {
    /// The pair.
    pub result: &'a PairResult,
    /// Keypoints found.
    pub right: usize,
    /// Mean distance to the truth as a share of the extent.
    pub error: f64,
    /// What thresholds are shares of, px of the target.
    pub extent: f64,
}

impl<'a> Gallery<'a> {
    /// Chooses from the pairs of a run, ordered by their share of right keypoints at `alpha`, then by their mean error, then by
    /// name; up to [`EACH`] of each kind, a third of the pairs at most. A category comes a second time only when every other
    /// has come, and no pair comes twice.
    ///
    /// # Errors
    /// [`Error::NoThreshold`]; [`Error::Setting`] for an α that is none.
    pub fn new(results: &'a [PairResult], settings: &Settings, alpha: f64) -> Result<Gallery<'a>, Error> {
        let settings = Settings { alphas: Alphas::try_from(vec![alpha])?, bootstrap: None, ..settings.clone() };
        let mut ranked = Vec::new();
        for result in results.iter().filter(|result| !result.keypoints.is_empty()) {
            let counts = Counts::new(result, &settings, |_| true)?;
            let extent = result.extents.of(settings.threshold).unwrap_or(f64::NAN);
            let errors: f64 = result.keypoints.iter().map(|keypoint| keypoint.error).sum();
            let right = counts.hits.first().map_or(0, |hits| *hits as usize);
            ranked.push(Shown { result, right, error: errors / counts.points as f64 / extent, extent });
        }
        let share = |shown: &Shown<'_>| shown.right as f64 / shown.result.keypoints.len() as f64;
        ranked.sort_by(|a, b| {
            let by_error = a.error.total_cmp(&b.error).then_with(|| a.result.pair.cmp(&b.result.pair));
            share(b).total_cmp(&share(a)).then(by_error)
        });
        let each = EACH.min(ranked.len().div_ceil(3));
        let middle = ranked.len().saturating_sub(1);
        // twice the distance from the middle, so that it is a whole number
        let mut from_middle: Vec<usize> = (0..ranked.len()).collect();
        from_middle.sort_by_key(|rank| (2 * rank).abs_diff(middle));
        let mut taken = HashSet::new();
        let best = spread(&ranked, 0..ranked.len(), each, &mut taken);
        let mut worst = spread(&ranked, (0..ranked.len()).rev(), each, &mut taken);
        worst.reverse();
        let median = spread(&ranked, from_middle.into_iter(), each, &mut taken);
        let shown = |ranks: Vec<usize>| ranks.iter().filter_map(|rank| ranked.get(*rank).copied()).collect();
        Ok(Gallery { best: shown(best), median: shown(median), worst: shown(worst) })
    }
}

/// The first `count` of `ranks` that are not taken yet, no category more than once more often than another that is left;
/// ascending.
fn spread(
    ranked: &[Shown<'_>],
    ranks: impl Iterator<Item = usize> + Clone,
    count: usize,
    taken: &mut HashSet<usize>,
) -> Vec<usize> {
    let mut chosen = Vec::new();
    let mut of_category: HashMap<&str, usize> = HashMap::new();
    for most in 1..=count {
        for rank in ranks.clone() {
            let Some(shown) = ranked.get(rank) else { continue };
            let times = of_category.entry(&shown.result.category).or_default();
            if chosen.len() < count && *times < most && taken.insert(rank) {
                *times += 1;
                chosen.push(rank);
            }
        }
    }
    chosen.sort_unstable();
    chosen
}
