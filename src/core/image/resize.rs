//! Resampling as Pillow does it.

use std::fmt;
use std::str::FromStr;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use serde::{Deserialize, Serialize};

use super::Photo;
use crate::Error;
use crate::geometry::Size;

/// The filter of a resize. Both widen when shrinking (antialias), as Pillow's and unlike OpenCV's and PyTorch's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Cubic convolution, a = −0.5 (Catmull-Rom).
    #[default]
    Bicubic,
    /// Triangle.
    Bilinear,
}

impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Interpolation::Bicubic => "bicubic",
            Interpolation::Bilinear => "bilinear",
        })
    }
}

impl FromStr for Interpolation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Interpolation, Error> {
        match text {
            "bicubic" => Ok(Interpolation::Bicubic),
            "bilinear" => Ok(Interpolation::Bilinear),
            _ => Err(Error::UnknownChoice {
                what: "interpolation",
                found: text.to_owned(),
                choices: "bicubic, bilinear",
            }),
        }
    }
}

/// Resizes a photo to `size`, in 8 bits a channel and without linearising, as `PIL.Image.resize(…, reducing_gap=None)`.
///
/// A photo that has the size already is returned as it is.
///
/// # Errors
/// [`Error::Resize`] if `size` has a side of zero.
pub fn resize(photo: &Photo, size: Size, interpolation: Interpolation) -> Result<Photo, Error> {
    // One axis at a time, across before down: the values are rounded and clipped to 8 bits in between, so that the order
    // shows (by up to 11 of 255 at hard edges, bicubic). fast_image_resize by itself begins with the other axis. This is
    // the order of Pillow to version 12; 13 turns it round where the height is reduced much more than the width.
    let widened = pass(photo, Size::new(size.width, photo.size().height), interpolation)?;
    pass(&widened, size, interpolation)
}

fn pass(photo: &Photo, size: Size, interpolation: Interpolation) -> Result<Photo, Error> {
    let from = photo.size();
    let refused = |reason: String| Error::Resize { from, to: size, reason };
    if size.pixels() == 0 {
        return Err(refused("a side is 0".to_owned()));
    }
    // typed: the call for images of any kind would compile the convolutions of all thirteen kinds into this crate
    let source = TypedImageRef::<U8x3>::from_buffer(from.width, from.height, photo.rgb())
        .map_err(|error| refused(error.to_string()))?;
    let mut rgb = vec![0; 3 * size.pixels() as usize];
    let mut target = TypedImage::<U8x3>::from_buffer(size.width, size.height, &mut rgb)
        .map_err(|error| refused(error.to_string()))?;
    let filter = match interpolation {
        Interpolation::Bicubic => FilterType::CatmullRom,
        Interpolation::Bilinear => FilterType::Bilinear,
    };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    Resizer::new().resize_typed(&source, &mut target, &options).map_err(|error| refused(error.to_string()))?;
    drop(target);
    Photo::from_rgb(size, rgb)
}
