//! How an image is brought onto the network's canvas, and the way back.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Grid, Point, Size};
use crate::Error;

/// How an image of any shape is brought to the resolution of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FitMode {
    /// Both sides to the resolution, the aspect ratio given up. What most of the field does.
    #[default]
    Squash,
    /// The long side to the resolution, the rest of the square filled with zeros after normalising, the picture in the middle.
    Letterbox,
    /// As letterbox, with the picture in the top-left corner, as SAM was trained (`ResizeLongestSide` and `Sam.preprocess`).
    Pad,
    /// The long side to the resolution, both sides rounded to whole patches; no filling, and almost no distortion.
    Aspect,
}

impl fmt::Display for FitMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FitMode::Squash => "squash",
            FitMode::Letterbox => "letterbox",
            FitMode::Pad => "pad",
            FitMode::Aspect => "aspect",
        })
    }
}

impl FromStr for FitMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<FitMode, Error> {
        match text {
            "squash" => Ok(FitMode::Squash),
            "letterbox" => Ok(FitMode::Letterbox),
            "pad" => Ok(FitMode::Pad),
            "aspect" => Ok(FitMode::Aspect),
            _ => Err(Error::UnknownChoice {
                what: "fit",
                found: text.to_owned(),
                choices: "squash, letterbox, pad, aspect",
            }),
        }
    }
}

/// The map between an image and the canvas a network sees, with its exact inverse.
///
/// The image is resized to `content`, whose top-left corner lies at `offset` on the canvas `input`, which is cut into tokens of
/// `patch` px a side.
// written, and not read: only `new` makes one that holds together
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Fit {
    /// How the image was fitted.
    mode: FitMode,
    /// The image as displayed, px.
    image: Size,
    /// The network's canvas, px.
    input: Size,
    /// The resized image on the canvas, px.
    content: Size,
    /// Pixels of canvas to the left of the content and above it.
    offset: (u32, u32),
    /// Side of a token on the canvas, px.
    patch: u32,
}

/// Where the cells of a grid lie in the image: the centre of the one in row i and column j is at x = ax · j + bx,
/// y = ay · i + by, in continuous pixels of the image (its top-left corner is the origin, its first pixel's centre (0.5, 0.5)).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CellMap {
    /// Width of a cell, px of the image.
    pub ax: f64,
    /// Centre of the first column, px; beyond the edge of the image where it is padding.
    pub bx: f64,
    /// Height of a cell, px of the image.
    pub ay: f64,
    /// Centre of the first row, px; beyond the edge of the image where it is padding.
    pub by: f64,
}

impl CellMap {
    /// The centre of the cell in row `i` and column `j`, px of the image; beyond its edges for a cell of padding.
    pub fn centre(&self, i: usize, j: usize) -> Point {
        Point::new(self.ax * j as f64 + self.bx, self.ay * i as f64 + self.by)
    }
}

impl Fit {
    /// Fits `image` to a canvas of side `resolution` px, cut into patches of `patch` px.
    ///
    /// - squash: the canvas is `resolution` squared, and so is the content.
    /// - letterbox: the same canvas; the content's long side is `resolution`, the short side `short · resolution / long`
    ///   rounded to the nearest px (halves up, at least 1), centred at whole px (the odd px goes to the right or the bottom).
    /// - pad: as letterbox, but at the top-left corner, all filling to the right or the bottom.
    /// - aspect: the long side is `resolution`, the short side `short · resolution / long` rounded to the nearest multiple
    ///   of `patch` (halves up, at least one patch).
    ///
    /// # Errors
    /// [`Error::FitZero`] if a number is 0, [`Error::FitResolution`] if `resolution` is no multiple of `patch`.
    pub fn new(mode: FitMode, image: Size, resolution: u32, patch: u32) -> Result<Fit, Error> {
        if image.width == 0 || image.height == 0 || resolution == 0 || patch == 0 {
            return Err(Error::FitZero { width: image.width, height: image.height, resolution, patch });
        }
        if !resolution.is_multiple_of(patch) {
            return Err(Error::FitResolution { resolution, patch });
        }
        let square = Size::new(resolution, resolution);
        let long = image.width.max(image.height);
        let sides = |unit: u32| {
            Size::new(scaled(image.width, resolution, long, unit), scaled(image.height, resolution, long, unit))
        };
        let (input, content) = match mode {
            FitMode::Squash => (square, square),
            FitMode::Letterbox | FitMode::Pad => (square, sides(1)),
            FitMode::Aspect => (sides(patch), sides(patch)),
        };
        let offset = match mode {
            FitMode::Pad => (0, 0),
            _ => ((input.width - content.width) / 2, (input.height - content.height) / 2),
        };
        Ok(Fit { mode, image, input, content, offset, patch })
    }

    /// How the image was fitted.
    pub fn mode(&self) -> FitMode {
        self.mode
    }

    /// Size of the original image.
    pub fn image(&self) -> Size {
        self.image
    }

    /// Size of the network's canvas, a whole number of patches each way.
    pub fn input(&self) -> Size {
        self.input
    }

    /// Size of the resized image on the canvas.
    pub fn content(&self) -> Size {
        self.content
    }

    /// Pixels of canvas to the left of the content and above it.
    pub fn offset(&self) -> (u32, u32) {
        self.offset
    }

    /// Side of a patch, px of the canvas.
    pub fn patch(&self) -> u32 {
        self.patch
    }

    /// Rows and columns of tokens on the canvas.
    pub fn grid(&self) -> Grid {
        Grid::new((self.input.height / self.patch) as usize, (self.input.width / self.patch) as usize)
    }

    /// From pixels of the image to pixels of the canvas.
    pub fn to_input(&self, p: Point) -> Point {
        Point::new(
            p.x * f64::from(self.content.width) / f64::from(self.image.width) + f64::from(self.offset.0),
            p.y * f64::from(self.content.height) / f64::from(self.image.height) + f64::from(self.offset.1),
        )
    }

    /// From pixels of the canvas to pixels of the image: the inverse of [`to_input`](Fit::to_input).
    pub fn to_image(&self, p: Point) -> Point {
        Point::new(
            (p.x - f64::from(self.offset.0)) * f64::from(self.image.width) / f64::from(self.content.width),
            (p.y - f64::from(self.offset.1)) * f64::from(self.image.height) / f64::from(self.content.height),
        )
    }

    /// From pixels of the image to token units, in which token (i, j) has its centre at (j + 0.5, i + 0.5).
    pub fn to_token(&self, p: Point) -> Point {
        let p = self.to_input(p);
        Point::new(p.x / f64::from(self.patch), p.y / f64::from(self.patch))
    }

    /// From token units to pixels of the image: the inverse of [`to_token`](Fit::to_token).
    pub fn from_token(&self, p: Point) -> Point {
        self.to_image(Point::new(p.x * f64::from(self.patch), p.y * f64::from(self.patch)))
    }

    /// [`from_token`](Fit::from_token) at the centres of tokens, as four numbers for whoever has no [`Fit`].
    pub fn cell_map(&self) -> CellMap {
        let first = self.from_token(Point::new(0.5, 0.5));
        let side = |image: u32, content: u32| f64::from(self.patch) * f64::from(image) / f64::from(content);
        CellMap {
            ax: side(self.image.width, self.content.width),
            bx: first.x,
            ay: side(self.image.height, self.content.height),
            by: first.y,
        }
    }

    /// Rows and columns of the tokens that see the image: those whose centre lies in the content, edges included.
    ///
    /// Everything but letterbox and pad: all of them. A strip too thin to hold a centre keeps the tokens its middle
    /// runs through, so that neither range is ever empty.
    pub fn content_tokens(&self) -> (Range<usize>, Range<usize>) {
        let grid = self.grid();
        (
            centres_within(self.offset.1, self.content.height, self.patch, grid.height),
            centres_within(self.offset.0, self.content.width, self.patch, grid.width),
        )
    }
}

/// `side · resolution / long`, rounded to the nearest multiple of `unit` (halves up), at least one `unit`.
fn scaled(side: u32, resolution: u32, long: u32, unit: u32) -> u32 {
    // u128: the product of two u32 and the doubling for the rounding do not fit u64
    let (side, resolution, long, unit) = (u128::from(side), u128::from(resolution), u128::from(long), u128::from(unit));
    let units = (2 * side * resolution + long * unit) / (2 * long * unit);
    u32::try_from(units.max(1) * unit).unwrap_or(u32::MAX) // never beyond `resolution`, since side ≤ long
}

/// Tokens of an axis whose centre lies in `[start, start + length]`; the token of the middle if there is none.
fn centres_within(start: u32, length: u32, patch: u32, tokens: usize) -> Range<usize> {
    // in half pixels, so that the centre (2j + 1)·p/2 is a whole number: exact at the edges
    let (start, end, patch) = (2 * u64::from(start), 2 * (u64::from(start) + u64::from(length)), u64::from(patch));
    let first = start.saturating_sub(patch).div_ceil(2 * patch) as usize;
    let past = if end < patch { 0 } else { ((end - patch) / (2 * patch) + 1) as usize };
    if first < past {
        first..past.min(tokens)
    } else {
        let middle = (((start + end) / 2 / (2 * patch)) as usize).min(tokens.saturating_sub(1));
        middle..middle + 1
    }
}
