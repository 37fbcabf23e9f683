//! Headers that promise more than there is, or than is allowed.

use homolog_core::Error;
use homolog_core::image::{DecodeLimits, Photo};

use super::{decode, golden, jpeg};

/// A JPEG whose frame header claims this size.
fn jpeg_claiming(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = jpeg();
    let frame = bytes.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = !0u32;
    for byte in kind.iter().chain(data) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    [&(data.len() as u32).to_be_bytes(), &kind[..], data, &(!crc).to_be_bytes()].concat()
}

/// A PNG whose header claims this size, and that has no pixels to speak of.
fn png_claiming(width: u32, height: u32, bits: u8, colour: u8) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[bits, colour, 0, 0, 0]].concat();
    let empty = [0x78, 0x9C, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01];
    [b"\x89PNG\r\n\x1A\n".to_vec(), png_chunk(b"IHDR", &header), png_chunk(b"IDAT", &empty), png_chunk(b"IEND", &[])]
        .concat()
}

#[test]
fn dimensions_are_refused_from_the_header() {
    let expected = "the image is 30000×30000 pixels; at most 16384×16384 and 67108864 pixels in all are accepted";
    assert_eq!(decode(&png_claiming(30_000, 30_000, 8, 2)).unwrap_err().to_string(), expected);
    assert_eq!(decode(&jpeg_claiming(30_000, 30_000)).unwrap_err().to_string(), expected);
    // each bound on its own
    assert!(matches!(decode(&png_claiming(16_385, 1, 8, 2)), Err(Error::ImageTooLarge { .. })));
    assert!(matches!(decode(&png_claiming(1, 16_385, 8, 2)), Err(Error::ImageTooLarge { .. })));
    assert!(matches!(decode(&png_claiming(16_000, 16_000, 8, 2)), Err(Error::ImageTooLarge { .. })));
    // where a row alone is beyond the memory granted, that is what is said
    let absurd = decode(&png_claiming(i32::MAX as u32, i32::MAX as u32, 16, 6));
    assert!(matches!(absurd, Err(Error::ImageMemory { .. })));
    // the extended WebP header counts its canvas from 0, in three bytes a side
    let mut webp = golden("orientation_6.webp");
    for side in [24, 27] {
        webp[side..side + 3].copy_from_slice(&59_999u32.to_le_bytes()[..3]);
    }
    assert!(matches!(decode(&webp), Err(Error::ImageTooLarge { width: 60_000, height: 60_000, .. })));
}

#[test]
fn memory_beyond_the_bound_is_refused_from_the_header() {
    // 16 bits × 4 channels × 8192² = 512 MiB decoded, before the RGB copy
    let error = decode(&png_claiming(8192, 8192, 16, 6)).unwrap_err();
    assert!(matches!(error, Error::ImageMemory { limit: 0x2000_0000 }), "{error}");
    let tight = DecodeLimits { max_alloc: 6 * 32 * 24 - 1, ..DecodeLimits::default() };
    for name in ["rgb.png", "rgb.jpg", "rgb.webp"] {
        let found = Photo::decode(&golden(name), &tight);
        assert!(matches!(found, Err(Error::ImageMemory { .. })), "{name}");
    }
}

#[test]
fn a_chunk_that_claims_gigabytes_is_refused() {
    let mut webp = golden("orientation_6.webp");
    let exif = webp.windows(4).position(|name| name == b"EXIF").unwrap();
    webp[exif + 4..exif + 8].copy_from_slice(&0xFFFF_FFF0u32.to_le_bytes());
    assert!(matches!(decode(&webp), Err(Error::ImageTruncated { format: "WebP" })));
    assert!(matches!(Photo::displayed_size(&webp), Err(Error::ImageTruncated { format: "WebP" })));
    let mut png = golden("rgb.png");
    png[33..37].copy_from_slice(&0x7FFF_FFF0u32.to_be_bytes());
    assert!(decode(&png).is_err());
}

#[test]
fn an_image_without_pixels_is_refused() {
    for bytes in [png_claiming(0, 4, 8, 2), png_claiming(4, 0, 8, 2), jpeg_claiming(0, 4), jpeg_claiming(4, 0)] {
        assert!(decode(&bytes).is_err());
    }
    // a whole file with fewer pixels than it claims
    assert!(decode(&png_claiming(64, 64, 8, 2)).is_err());
}
