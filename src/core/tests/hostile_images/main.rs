//! Files that are damaged, cut off, mislabelled or made to exhaust memory: each is refused by a sentence of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod claims;
mod truncated;

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use homolog_core::Error;
use homolog_core::image::{DecodeLimits, Photo};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageFormat, RgbImage};
use proptest::prelude::*;

fn golden(name: &str) -> Vec<u8> {
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/images").join(name)).unwrap()
}

const FILES: [&str; 10] = [
    "rgb.jpg",
    "progressive.jpg",
    "cmyk.jpg",
    "orientation_6.jpg",
    "rgb.png",
    "palette.png",
    "grey16.png",
    "rgb.webp",
    "rgb_lossless.webp",
    "orientation_6.webp",
];

fn decode(bytes: &[u8]) -> Result<Photo, Error> {
    Photo::decode(bytes, &DecodeLimits::default())
}

/// A picture with detail everywhere, so that a cut falls into pixels.
fn picture() -> RgbImage {
    RgbImage::from_fn(400, 300, |x, y| image::Rgb([((x * 7) ^ (y * 5)) as u8, (x * y) as u8, (x + 3 * y) as u8]))
}

fn jpeg() -> Vec<u8> {
    let (image, mut bytes) = (picture(), Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, 90).encode(&image, 400, 300, ExtendedColorType::Rgb8).unwrap();
    bytes
}

fn encoded(format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn nothing_is_not_an_image() {
    assert_eq!(decode(&[]).unwrap_err().to_string(), "the image is empty: 0 bytes were sent");
}

#[test]
fn text_is_not_an_image_whatever_it_is_called() {
    for bytes in
        [&b"this is photo.jpg, believe me"[..], b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", &[0; 64], &[0xFF]]
    {
        assert!(matches!(decode(bytes), Err(Error::ImageFormatUnknown)));
    }
}

#[test]
fn other_formats_are_refused_by_name() {
    let error = decode(b"GIF89a\x01\x00\x01\x00\x00\x00\x00;").unwrap_err();
    assert_eq!(error.to_string(), "GIF images are not accepted; send JPEG, PNG or WebP");
    assert!(
        matches!(decode(b"II*\0\x08\0\0\0\0\0"), Err(Error::ImageFormatUnsupported { format }) if format == "TIFF")
    );
}

#[test]
fn what_follows_a_whole_picture_does_not_matter() {
    for name in ["rgb.jpg", "rgb.png", "rgb.webp"] {
        let bytes = golden(name);
        assert_eq!(decode(&[&bytes[..], b"and some more"].concat()).unwrap(), decode(&bytes).unwrap(), "{name}");
    }
}

proptest! {
    #[test]
    fn a_damaged_file_never_panics_or_grows(
        name in prop::sample::select(&FILES[..]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = golden(name);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let limits = DecodeLimits { max_pixels: 1 << 20, ..DecodeLimits::default() };
        if let Ok(photo) = Photo::decode(&bytes, &limits) {
            prop_assert!(photo.size().pixels() <= limits.max_pixels);
        }
    }
}
