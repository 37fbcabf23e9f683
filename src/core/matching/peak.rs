//! Reading a place off the similarities of one query.
//!
//! `similarity` is `[h * w]`, row-major over `grid`. A similarity that is not finite counts as −∞: its token takes no part.
//! Softmaxes subtract the maximum first and sum in f64. Ties for the best token go to the first in row-major order. All
//! functions fail with [`Error::Shape`] if the lengths disagree and [`Error::NoFiniteSimilarity`] if no token takes part.

use std::ops::Range;

use super::{Matcher, Sigma, Temperature, Window};
use crate::Error;
use crate::geometry::{Grid, Point};

/// A place in a map of similarities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// The place, in token units (centres at + 0.5).
    pub point: Point,
    /// Row-major index of the best token, which the place is refined from.
    pub index: usize,
    /// Similarity of the best token: the cosine, if both sides were normalised.
    pub similarity: f32,
    /// Share of softmax(similarity / temperature) over *all* tokens that falls into the window round the best token
    /// ([`Matcher::radius`], clipped at the border), at the matcher's [`temperature`](Matcher::temperature); in 0..1.
    pub confidence: f32,
    /// The greatest similarity outside that window divided by the one at the best token: near 1 when another place is as
    /// good, at most 1 at the best peak, negative when everything else is dissimilar. `None` if no token outside takes part
    /// or the best similarity is not above 0.
    pub ratio: Option<f32>,
}

/// Reads the place as `matcher` says.
///
/// # Errors
/// See the module.
pub fn peak(similarity: &[f32], grid: Grid, matcher: &Matcher) -> Result<Peak, Error> {
    let row = Row::new(similarity, grid, matcher.temperature())?;
    let best = row.top.ok_or(Error::NoFiniteSimilarity)?;
    let mut peak = row.peak(best, matcher);
    if let Matcher::SoftArgmax { temperature } = *matcher {
        peak.point = row.expectation(row.everywhere(), temperature, |_, s| s);
    }
    Ok(peak)
}

/// The centre of the best token.
///
/// # Errors
/// See the module.
pub fn argmax(similarity: &[f32], grid: Grid) -> Result<Peak, Error> {
    peak(similarity, grid, &Matcher::Argmax {})
}

/// The expectation of all token centres under softmax(similarity / `temperature`).
///
/// # Errors
/// See the module.
pub fn soft_argmax(similarity: &[f32], grid: Grid, temperature: Temperature) -> Result<Peak, Error> {
    peak(similarity, grid, &Matcher::SoftArgmax { temperature })
}

/// Refines an argmax by the expectation of the token centres around it (window soft-argmax).
///
/// The softmax runs over the `window`² tokens around the best one, clipped at the border; tokens outside are excluded, not
/// set to zero. Zhang et al., "Telling Left from Right", 2024, §4.3 and its utils_correspondence.py.
///
/// # Errors
/// See the module.
pub fn window_soft_argmax(
    similarity: &[f32],
    grid: Grid,
    window: Window,
    temperature: Temperature,
) -> Result<Peak, Error> {
    peak(similarity, grid, &Matcher::WindowSoftArgmax { window, temperature })
}

/// Refines an argmax by an expectation over all tokens in which far ones hardly count (kernel soft-argmax).
///
/// Each similarity is multiplied by exp(−d² / 2`sigma`²), d the distance in tokens to the best token, before the softmax over
/// all tokens. A similarity far away comes to 0, and not to −∞: at high temperatures the mean still leans to the middle of
/// the map. Lee et al., "SFNet", 2019, eq. 5.
///
/// # Errors
/// See the module.
pub fn kernel_soft_argmax(
    similarity: &[f32],
    grid: Grid,
    sigma: Sigma,
    temperature: Temperature,
) -> Result<Peak, Error> {
    peak(similarity, grid, &Matcher::KernelSoftArgmax { sigma, temperature })
}

/// A rectangle of tokens.
#[derive(Clone)]
pub(super) struct Region {
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Region {
    /// The square of this radius round a token, clipped at the border.
    pub(super) fn around(index: usize, radius: usize, grid: Grid) -> Region {
        let clipped = |middle: usize, n: usize| middle.saturating_sub(radius)..middle.saturating_add(radius + 1).min(n);
        Region { rows: clipped(index / grid.width, grid.height), columns: clipped(index % grid.width, grid.width) }
    }

    /// The row-major indices within.
    pub(super) fn indices(self, grid: Grid) -> impl Iterator<Item = usize> + Clone {
        self.rows.flat_map(move |i| self.columns.clone().map(move |j| i * grid.width + j))
    }

    fn holds(&self, index: usize, grid: Grid) -> bool {
        self.rows.contains(&(index / grid.width)) && self.columns.contains(&(index % grid.width))
    }
}

/// The similarities of one query, of a length that fits the grid.
pub(super) struct Row<'a> {
    similarity: &'a [f32],
    grid: Grid,
    temperature: Temperature,
    /// The best token, if any takes part.
    top: Option<usize>,
    /// Sum of exp((similarity − best) / temperature) over all tokens.
    total: f64,
}

impl<'a> Row<'a> {
    pub(super) fn new(similarity: &'a [f32], grid: Grid, temperature: Temperature) -> Result<Row<'a>, Error> {
        if similarity.len() != grid.len() {
            let found = similarity.len();
            return Err(Error::Shape { what: "row of similarities", rows: grid.height, channels: grid.width, found });
        }
        let mut row = Row { similarity, grid, temperature, top: None, total: 0.0 };
        row.top = row.best(|_| true);
        row.total = row.weight(row.everywhere());
        Ok(row)
    }

    /// The first greatest of the tokens that take part and are `eligible`.
    pub(super) fn best(&self, eligible: impl Fn(usize) -> bool) -> Option<usize> {
        let mut best: Option<usize> = None;
        for (index, &s) in self.similarity.iter().enumerate() {
            if s.is_finite() && best.is_none_or(|best| s > self.similarity[best]) && eligible(index) {
                best = Some(index);
            }
        }
        best
    }

    /// The peak at this token, which must take part: the place refined round it, and how good it is.
    pub(super) fn peak(&self, index: usize, matcher: &Matcher) -> Peak {
        let window = Region::around(index, matcher.radius(), self.grid);
        let centre = self.grid.centre(index);
        let point = match *matcher {
            Matcher::Argmax {} | Matcher::SoftArgmax { .. } => centre,
            Matcher::WindowSoftArgmax { temperature, .. } => self.expectation(window.clone(), temperature, |_, s| s),
            Matcher::KernelSoftArgmax { sigma, temperature } => {
                let spread = 2.0 * f64::from(sigma.get()).powi(2);
                let kernel = |token: Point, s: f64| {
                    s * (-((token.x - centre.x).powi(2) + (token.y - centre.y).powi(2)) / spread).exp()
                };
                self.expectation(self.everywhere(), temperature, kernel)
            }
        };
        let similarity = self.similarity[index];
        // almost always the best of all, which is known, unless the window holds it
        let outside = match self.top {
            Some(top) if !window.holds(top, self.grid) => Some(top),
            _ => self.best(|other| !window.holds(other, self.grid)),
        };
        let ratio = outside.filter(|_| similarity > 0.0).map(|other| self.similarity[other] / similarity);
        let confidence = (self.weight(window) / self.total) as f32;
        Peak { point, index, similarity, confidence, ratio }
    }

    fn everywhere(&self) -> Region {
        Region { rows: 0..self.grid.height, columns: 0..self.grid.width }
    }

    /// The tokens of a region that take part, with their similarities.
    fn tokens(&self, region: Region) -> impl Iterator<Item = (usize, f64)> + Clone {
        let finite = |&(_, s): &(usize, f64)| s.is_finite();
        region.indices(self.grid).map(|index| (index, f64::from(self.similarity[index]))).filter(finite)
    }

    /// The mean of the token centres of a region, weighted by softmax(`score`(centre, similarity) / temperature).
    fn expectation(&self, region: Region, temperature: Temperature, score: impl Fn(Point, f64) -> f64) -> Point {
        let scored = self.tokens(region).map(|(index, s)| {
            let centre = self.grid.centre(index);
            (centre, score(centre, s))
        });
        let scored: Vec<(Point, f64)> = scored.collect();
        let top = scored.iter().fold(f64::NEG_INFINITY, |top, &(_, score)| top.max(score));
        let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
        for (centre, score) in scored {
            let weight = ((score - top) / f64::from(temperature.get())).exp();
            sum += weight;
            x += weight * centre.x;
            y += weight * centre.y;
        }
        Point::new(x / sum, y / sum)
    }

    /// Sum of exp((similarity − best) / temperature) over a region.
    fn weight(&self, region: Region) -> f64 {
        let top = self.top.map_or(0.0, |index| f64::from(self.similarity[index]));
        self.tokens(region).map(|(_, s)| ((s - top) / f64::from(self.temperature.get())).exp()).sum()
    }
}
