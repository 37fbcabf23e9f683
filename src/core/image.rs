//! From the bytes of an image file to the numbers a network takes: bounded decode, resize, normalise.
//!
//! Follows Pillow, on which the published numbers rest: alpha dropped, grey repeated, 16 bits cut to the upper 8, colour
//! profiles and gamma ignored, the first frame of an animation, and `ImageOps.exif_transpose` for the orientation.

mod complete;
mod decode;
mod prepare;
mod resize;

use crate::Error;
use crate::geometry::Size;
pub use prepare::{Normalisation, Pixels, prepare};
pub use resize::{Interpolation, resize};

/// What a file may ask of the decoder. The dimensions are read from the header, before any pixel has a place in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Greatest width, px.
    pub max_width: u32,
    /// Greatest height, px.
    pub max_height: u32,
    /// Greatest product of the two.
    pub max_pixels: u64,
    /// Greatest sum of the decoder's output and the RGB copy made of it, bytes. A progressive JPEG takes up to 6 bytes a
    /// pixel beside it for its coefficients, which `max_pixels` bounds.
    pub max_alloc: u64,
}

impl Default for DecodeLimits {
    fn default() -> DecodeLimits {
        DecodeLimits { max_width: 16_384, max_height: 16_384, max_pixels: 64 << 20, max_alloc: 512 << 20 }
    }
}

/// An image as displayed: 8-bit RGB, upright.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Photo {
    size: Size,
    rgb: Vec<u8>,
}

impl Photo {
    /// Decodes a JPEG, PNG or WebP file; the format is told by the content, whatever the file is called.
    ///
    /// The orientation in the file's EXIF data is applied (JPEG, PNG with `eXIf` before its pixels, WebP). An orientation
    /// that stands elsewhere is not: XMP, a PNG's text chunks, an `eXIf` chunk behind the pixels. A JPEG in CMYK or YCCK is
    /// taken as Photoshop writes it, inverted, and converted without its colour profile, as Pillow does.
    ///
    /// # Errors
    /// One variant each for no bytes, an unknown and an unaccepted format, a truncated file, dimensions and memory beyond
    /// `limits`, and a damaged file: [`Error::ImageEmpty`], [`Error::ImageFormatUnknown`],
    /// [`Error::ImageFormatUnsupported`], [`Error::ImageTruncated`], [`Error::ImageTooLarge`], [`Error::ImageMemory`],
    /// [`Error::ImageUndecodable`].
    pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Photo, Error> {
        decode::decode(bytes, limits)
    }

    /// Dimensions that the photo in a file has as displayed, px, from its header alone.
    ///
    /// # Errors
    /// As [`Photo::decode`], for what shows in the header; however large a photo is, it has a size.
    pub fn displayed_size(bytes: &[u8]) -> Result<Size, Error> {
        decode::displayed_size(bytes)
    }

    /// A photo of these pixels, row-major interleaved RGB.
    ///
    /// # Errors
    /// [`Error::PhotoLength`] unless there are width × height × 3 bytes, and at least one pixel.
    pub fn from_rgb(size: Size, rgb: Vec<u8>) -> Result<Photo, Error> {
        let expected = size.pixels().saturating_mul(3);
        if expected == 0 || rgb.len() as u64 != expected {
            return Err(Error::PhotoLength { size, expected, found: rgb.len() });
        }
        Ok(Photo { size, rgb })
    }

    /// The photo as a mirror shows it: left and right changed places.
    #[must_use]
    pub fn mirrored(mut self) -> Photo {
        for row in self.rgb.chunks_exact_mut(3 * self.size.width as usize) {
            row.as_chunks_mut::<3>().0.reverse();
        }
        self
    }

    /// Dimensions as displayed, px.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The pixels, row-major interleaved RGB, width × height × 3 bytes.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}
