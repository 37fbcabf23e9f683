//! Points, sizes, and the map between an image and the tokens a network sees of it.
//!
//! The convention, which no other file needs to know: coordinates are continuous pixels of the image as displayed, origin at
//! the top-left *corner* of the image, x right, y down; the first pixel's centre is (0.5, 0.5). Token (i, j) of patch size p
//! covers `[j·p, (j+1)·p) × [i·p, (i+1)·p)` of the canvas; in token units its centre is (j + 0.5, i + 0.5).

mod fit;

use serde::{Deserialize, Serialize};

use crate::Error;
pub use fit::{CellMap, Fit, FitMode};

/// A place in continuous coordinates: pixels of an image, or token units of a grid. Written as `[x, y]` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 2]", into = "[f64; 2]")]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Downwards.
    pub y: f64,
}

impl Point {
    /// The point (x, y).
    pub const fn new(x: f64, y: f64) -> Point {
        Point { x, y }
    }

    /// Euclidean distance, in the unit of the two points.
    pub fn distance(self, other: Point) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    /// The nearest point of an image of this size, edges included.
    pub fn clamped_to(self, size: Size) -> Point {
        Point::new(self.x.clamp(0.0, f64::from(size.width)), self.y.clamp(0.0, f64::from(size.height)))
    }
}

impl From<[f64; 2]> for Point {
    fn from([x, y]: [f64; 2]) -> Point {
        Point { x, y }
    }
}

impl From<Point> for [f64; 2] {
    fn from(point: Point) -> [f64; 2] {
        [point.x, point.y]
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Point {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ArrayBuilder::new()
            .items(
                ObjectBuilder::new()
                    .schema_type(Type::Number)
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::Double))),
            )
            .min_items(Some(2))
            .max_items(Some(2))
            .description(Some(
                "[x, y] in continuous pixels of the image as displayed; the origin is its top-left corner.",
            ))
            .build()
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Point {}

/// Width and height of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Size {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// The size width × height.
    pub const fn new(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    /// Width × height; cannot overflow.
    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }
}

/// Rows and columns of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Grid {
    /// Rows of tokens.
    pub height: usize,
    /// Tokens in a row.
    pub width: usize,
}

impl Grid {
    /// The grid of `height` rows by `width` columns.
    pub const fn new(height: usize, width: usize) -> Grid {
        Grid { height, width }
    }

    /// Number of tokens.
    pub const fn len(self) -> usize {
        self.height * self.width
    }

    /// Whether there is no token at all.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Centre of the token with this row-major index, in token units. The grid must not be empty.
    pub fn centre(self, index: usize) -> Point {
        Point::new((index % self.width) as f64 + 0.5, (index / self.width) as f64 + 0.5)
    }

    /// Row-major index of the token that covers a point in token units, the nearest one for a point outside; 0 for a grid without tokens.
    pub fn token_at(self, point: Point) -> usize {
        // `as` saturates and takes NaN to 0: a stray point reads a border token, never past the end
        let j = (point.x.floor().max(0.0) as usize).min(self.width.saturating_sub(1));
        let i = (point.y.floor().max(0.0) as usize).min(self.height.saturating_sub(1));
        i * self.width + j
    }

    /// The four tokens round a point in token units as (row-major index, bilinear weight), clamped at the border.
    pub fn neighbours(self, point: Point) -> [(usize, f32); 4] {
        let (j0, j1, u) = between_centres(point.x, self.width);
        let (i0, i1, v) = between_centres(point.y, self.height);
        [
            (i0 * self.width + j0, ((1.0 - u) * (1.0 - v)) as f32),
            (i0 * self.width + j1, (u * (1.0 - v)) as f32),
            (i1 * self.width + j0, ((1.0 - u) * v) as f32),
            (i1 * self.width + j1, (u * v) as f32),
        ]
    }
}

/// The two cells whose centres enclose `x` on an axis of `n` cells, and how far `x` is from the first to the second.
fn between_centres(x: f64, n: usize) -> (usize, usize, f64) {
    let last = n.saturating_sub(1);
    let at = (x - 0.5).max(0.0).min(last as f64);
    let low = at.floor() as usize;
    (low, (low + 1).min(last), at - at.floor())
}

/// Checks keypoints against the image they are to lie on: finite, and `0 ≤ x ≤ width`, `0 ≤ y ≤ height`.
///
/// # Errors
/// [`Error::KeypointNotFinite`] or [`Error::KeypointOutside`] for the first point that fails.
pub fn check_points(points: &[Point], image: Size) -> Result<(), Error> {
    check_finite(points)?;
    for (index, &point) in points.iter().enumerate() {
        if point != point.clamped_to(image) {
            return Err(Error::KeypointOutside {
                index,
                x: point.x,
                y: point.y,
                width: image.width,
                height: image.height,
            });
        }
    }
    Ok(())
}

/// The half of [`check_points`] that annotations must pass too, some of which lie beyond the image's edges.
pub(crate) fn check_finite(points: &[Point]) -> Result<(), Error> {
    match points.iter().position(|point| !(point.x.is_finite() && point.y.is_finite())) {
        Some(index) => Err(Error::KeypointNotFinite { index }),
        None => Ok(()),
    }
}
