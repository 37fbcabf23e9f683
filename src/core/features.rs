//! Dense descriptors of an image, the reading of them at points, and the files they are given away in.

mod file;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::geometry::{Grid, Point};
pub use file::{Dtype, TENSOR};

/// A descriptor for each token of an image: `[h, w, c]`, row-major, borrowed (from a cache, from a model's output) or owned.
#[derive(Clone, Debug)]
pub struct FeatureMap<'a> {
    grid: Grid,
    channels: usize,
    data: Cow<'a, [f32]>,
    /// What each token is multiplied by to be of length 1, once somebody has asked: a map that is kept is searched many times.
    scales: OnceLock<Box<[f64]>>,
}

impl PartialEq for FeatureMap<'_> {
    fn eq(&self, other: &FeatureMap<'_>) -> bool {
        (self.grid, self.channels, &self.data) == (other.grid, other.channels, &other.data)
    }
}

impl<'a> FeatureMap<'a> {
    /// A map over `grid` with `channels` numbers a token. The numbers need not be finite.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are h × w × c numbers, and at least one.
    pub fn new(grid: Grid, channels: usize, data: impl Into<Cow<'a, [f32]>>) -> Result<FeatureMap<'a>, Error> {
        let data = data.into();
        check_shape("feature map", grid.len(), channels, data.len())?;
        if data.is_empty() {
            return Err(Error::Shape {
                what: "feature map",
                rows: grid.len().max(1),
                channels: channels.max(1),
                found: 0,
            });
        }
        Ok(FeatureMap { grid, channels, data, scales: OnceLock::new() })
    }

    /// Rows and columns of tokens.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// Numbers a token.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// All numbers, `[h, w, c]`.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The descriptor of the token in row `i` and column `j`. Both must lie in the grid.
    pub fn token(&self, i: usize, j: usize) -> &[f32] {
        self.token_at(i * self.grid.width + j)
    }

    fn token_at(&self, index: usize) -> &[f32] {
        &self.data[index * self.channels..][..self.channels]
    }

    /// Each token divided by its Euclidean length; a token of zeros stays one.
    pub fn normalised(&self) -> FeatureMap<'static> {
        let data = Cow::Owned(unit_rows(&self.data, self.channels));
        FeatureMap { grid: self.grid, channels: self.channels, data, scales: OnceLock::new() }
    }

    /// What each token is multiplied by to be of Euclidean length 1, `[h * w]`; 0 for a token of zeros.
    pub fn scales(&self) -> &[f64] {
        self.scales.get_or_init(|| self.data.chunks_exact(self.channels).map(scale).collect())
    }

    /// The same map, independent of what it borrowed from.
    pub fn into_owned(self) -> FeatureMap<'static> {
        let data = Cow::Owned(self.data.into_owned());
        FeatureMap { grid: self.grid, channels: self.channels, data, scales: self.scales }
    }

    /// Reads the map at points in token units (centres at + 0.5), one descriptor each; the values are not normalised again.
    ///
    /// Between centres as `sampling` says; beyond the outermost centres the border token counts on, unchanged.
    pub fn sample(&self, points: &[Point], sampling: Sampling) -> Descriptors {
        let mut data = Vec::with_capacity(points.len() * self.channels);
        for &point in points {
            match sampling {
                Sampling::Nearest => data.extend_from_slice(self.token_at(self.grid.token_at(point))),
                Sampling::Bilinear => data.extend(self.between(point)),
            }
        }
        Descriptors { channels: self.channels, data }
    }

    fn between(&self, point: Point) -> Vec<f32> {
        let mut mixed = vec![0.0; self.channels];
        for (index, weight) in self.grid.neighbours(point) {
            // a neighbour of no weight takes no part even if it is NaN
            if weight > 0.0 {
                for (sum, value) in mixed.iter_mut().zip(self.token_at(index)) {
                    *sum += weight * value;
                }
            }
        }
        mixed
    }
}

/// How a feature map is read between the centres of its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// A mixture of the four tokens around, by distance.
    #[default]
    Bilinear,
    /// The token that covers the point.
    Nearest,
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sampling::Bilinear => "bilinear",
            Sampling::Nearest => "nearest",
        })
    }
}

impl FromStr for Sampling {
    type Err = Error;

    fn from_str(text: &str) -> Result<Sampling, Error> {
        match text {
            "bilinear" => Ok(Sampling::Bilinear),
            "nearest" => Ok(Sampling::Nearest),
            _ => Err(Error::UnknownChoice { what: "sampling", found: text.to_owned(), choices: "bilinear, nearest" }),
        }
    }
}

/// Descriptors of single points: `[n, c]`, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptors {
    channels: usize,
    data: Vec<f32>,
}

impl Descriptors {
    /// Descriptors of `channels` numbers each, as many as `data` holds.
    ///
    /// # Errors
    /// [`Error::Shape`] if `channels` is 0 or the numbers do not divide into rows.
    pub fn new(channels: usize, data: Vec<f32>) -> Result<Descriptors, Error> {
        let rows = data.len().checked_div(channels).unwrap_or(0);
        check_shape("list of descriptors", rows, channels.max(1), data.len())?;
        Ok(Descriptors { channels: channels.max(1), data })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.data.len() / self.channels
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Numbers in each.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// All numbers, `[n, c]`.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The descriptor of this index, which must be below [`len`](Descriptors::len).
    pub fn row(&self, index: usize) -> &[f32] {
        &self.data[index * self.channels..][..self.channels]
    }

    /// Each descriptor divided by its Euclidean length; one of zeros stays one.
    pub fn normalised(&self) -> Descriptors {
        Descriptors { channels: self.channels, data: unit_rows(&self.data, self.channels) }
    }
}

fn check_shape(what: &'static str, rows: usize, channels: usize, found: usize) -> Result<(), Error> {
    if rows.checked_mul(channels) == Some(found) { Ok(()) } else { Err(Error::Shape { what, rows, channels, found }) }
}

fn unit_rows(data: &[f32], channels: usize) -> Vec<f32> {
    let mut unit = Vec::with_capacity(data.len());
    for row in data.chunks_exact(channels) {
        let scale = scale(row);
        unit.extend(row.iter().map(|&x| (f64::from(x) * scale) as f32));
    }
    unit
}

/// One over the Euclidean length; 0 for zeros.
fn scale(row: &[f32]) -> f64 {
    // in f64: the square of an f32 never overflows there; in eight sums: one would wait for itself at every addition
    let mut sums = [0.0; 8];
    for eight in row.chunks(8) {
        for (sum, &x) in sums.iter_mut().zip(eight) {
            *sum += f64::from(x) * f64::from(x);
        }
    }
    let length = sums.iter().sum::<f64>().sqrt();
    if length > 0.0 { 1.0 / length } else { 0.0 }
}
