//! Bytes of a file to upright 8-bit RGB.

use std::io::{Cursor, ErrorKind};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};

use super::{DecodeLimits, Photo, complete};
use crate::Error;
use crate::geometry::Size;

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Photo, Error> {
    let file = File::open(bytes, limits)?;
    let mut decoder = file.header()?;
    let (width, height) = decoder.dimensions();
    file.check_header(Size::new(width, height), decoder.total_bytes())?;
    if !file.is_complete() {
        return Err(Error::ImageTruncated { format: file.name });
    }
    let orientation = orientation(&mut decoder).map_err(|error| file.failed(error))?;
    let pixels = DynamicImage::from_decoder(decoder).map_err(|error| file.failed(error))?;
    let mut upright = DynamicImage::ImageRgb8(file.rgb(pixels)?);
    upright.apply_orientation(orientation);
    let rgb = upright.into_rgb8();
    Photo::from_rgb(Size::new(rgb.width(), rgb.height()), rgb.into_raw())
}

pub(super) fn displayed_size(bytes: &[u8]) -> Result<Size, Error> {
    let limits = DecodeLimits::default();
    let file = File::open(bytes, &limits)?;
    let mut decoder = file.header()?;
    let (width, height) = decoder.dimensions();
    Ok(match orientation(&mut decoder).map_err(|error| file.failed(error))? {
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH => {
            Size::new(height, width)
        }
        _ => Size::new(width, height),
    })
}

/// The orientation in the EXIF data, upright when there is none.
fn orientation(decoder: &mut impl ImageDecoder) -> Result<Orientation, ImageError> {
    let exif = decoder.exif_metadata()?.unwrap_or_default();
    // the prefix belongs to JPEG's segment, but some writers put it into WebP and PNG chunks too
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif);
    Ok(Orientation::from_exif_chunk(exif).unwrap_or(Orientation::NoTransforms))
}

/// A file of an accepted format under its limits: what is needed to word an error.
struct File<'a> {
    bytes: &'a [u8],
    limits: &'a DecodeLimits,
    format: ImageFormat,
    name: &'static str,
}

impl<'a> File<'a> {
    fn open(bytes: &'a [u8], limits: &'a DecodeLimits) -> Result<File<'a>, Error> {
        if bytes.is_empty() {
            return Err(Error::ImageEmpty);
        }
        let format = image::guess_format(bytes).map_err(|_| Error::ImageFormatUnknown)?;
        let name = match format {
            ImageFormat::Jpeg => "JPEG",
            ImageFormat::Png => "PNG",
            ImageFormat::WebP => "WebP",
            other => {
                return Err(Error::ImageFormatUnsupported { format: format!("{other:?}").to_uppercase() });
            }
        };
        let file = File { bytes, limits, format, name };
        // the decoder makes room for what a chunk claims, so the claims are checked first
        if format == ImageFormat::WebP && !file.is_complete() {
            return Err(Error::ImageTruncated { format: name });
        }
        Ok(file)
    }

    /// Reads the header only.
    fn header(&self) -> Result<impl ImageDecoder + 'a, Error> {
        let mut reader = ImageReader::with_format(Cursor::new(self.bytes), self.format);
        reader.limits(self.bounds());
        reader.into_decoder().map_err(|error| self.failed(error))
    }

    /// PNG has no check of its own: its decoder refuses a file that ends early.
    fn is_complete(&self) -> bool {
        match self.format {
            ImageFormat::Jpeg => complete::jpeg(self.bytes),
            ImageFormat::WebP => complete::webp(self.bytes),
            _ => true,
        }
    }

    /// The bound on memory for the decoder's own use; dimensions are checked by `check_header`, whose message names them.
    fn bounds(&self) -> Limits {
        let mut bounds = Limits::no_limits();
        bounds.max_alloc = Some(self.limits.max_alloc);
        bounds
    }

    fn check_header(&self, size: Size, decoded: u64) -> Result<(), Error> {
        let &DecodeLimits { max_width, max_height, max_pixels, max_alloc } = self.limits;
        if size.width > max_width || size.height > max_height || size.pixels() > max_pixels {
            let Size { width, height } = size;
            return Err(Error::ImageTooLarge { width, height, max_width, max_height, max_pixels });
        }
        if decoded.saturating_add(size.pixels().saturating_mul(3)) > max_alloc {
            return Err(Error::ImageMemory { limit: max_alloc });
        }
        Ok(())
    }

    fn failed(&self, error: ImageError) -> Error {
        match error {
            ImageError::Limits(_) => Error::ImageMemory { limit: self.limits.max_alloc },
            ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Error::ImageTruncated { format: self.name }
            }
            // a JPEG that ends in its header is reported as damaged
            _ if !self.is_complete() => Error::ImageTruncated { format: self.name },
            other => self.undecodable(other.to_string()),
        }
    }

    fn undecodable(&self, reason: String) -> Error {
        Error::ImageUndecodable { format: self.name, reason }
    }

    /// As Pillow's `convert("RGB")`: alpha dropped (not blended), grey repeated, of 16 bits the upper 8.
    fn rgb(&self, image: DynamicImage) -> Result<RgbImage, Error> {
        let (width, height) = (image.width(), image.height());
        let rgb = match image {
            DynamicImage::ImageRgb8(rgb) => return Ok(rgb),
            DynamicImage::ImageRgba8(rgba) => rgba.pixels().flat_map(|p| [p[0], p[1], p[2]]).collect(),
            DynamicImage::ImageLuma8(grey) => grey.pixels().flat_map(|p| [p[0]; 3]).collect(),
            DynamicImage::ImageLumaA8(grey) => grey.pixels().flat_map(|p| [p[0]; 3]).collect(),
            DynamicImage::ImageRgb16(rgb) => rgb.pixels().flat_map(|p| [p[0], p[1], p[2]].map(upper)).collect(),
            DynamicImage::ImageRgba16(rgba) => rgba.pixels().flat_map(|p| [p[0], p[1], p[2]].map(upper)).collect(),
            DynamicImage::ImageLuma16(grey) => grey.pixels().flat_map(|p| [upper(p[0]); 3]).collect(),
            DynamicImage::ImageLumaA16(grey) => grey.pixels().flat_map(|p| [upper(p[0]); 3]).collect(),
            other => return Err(self.undecodable(format!("its pixels are {:?}", other.color()))),
        };
        RgbImage::from_raw(width, height, rgb).ok_or_else(|| self.undecodable("its pixels are incomplete".to_owned()))
    }
}

fn upper(sample: u16) -> u8 {
    (sample >> 8) as u8
}
