//! Files that end before their picture does.

use homolog_core::Error;
use image::ImageFormat;

use super::{FILES, decode, encoded, golden, jpeg};

#[test]
fn a_file_cut_in_half_is_truncated() {
    let mut files = vec![jpeg(), encoded(ImageFormat::Png), encoded(ImageFormat::WebP)];
    files.extend(FILES.map(golden));
    for bytes in files {
        decode(&bytes).unwrap();
        let error = decode(&bytes[..bytes.len() / 2]).unwrap_err();
        assert!(matches!(error, Error::ImageTruncated { .. }), "{error}");
    }
}

#[test]
fn a_jpeg_is_truncated_wherever_it_is_cut() {
    for bytes in [golden("rgb.jpg"), golden("progressive.jpg"), golden("orientation_6.jpg"), golden("cmyk.jpg")] {
        for length in 3..bytes.len() {
            let error = decode(&bytes[..length]).unwrap_err();
            assert!(matches!(error, Error::ImageTruncated { format: "JPEG" }), "{length} of {}: {error}", bytes.len());
        }
    }
}

#[test]
fn the_end_of_a_thumbnail_is_not_the_end_of_the_picture() {
    let picture = jpeg();
    let thumbnail = golden("rgb.jpg");
    let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE1];
    bytes.extend((thumbnail.len() as u16 + 2).to_be_bytes());
    bytes.extend(&thumbnail);
    bytes.extend(&picture[2..]);
    assert_eq!(decode(&bytes).unwrap(), decode(&picture).unwrap());
    assert!(matches!(decode(&bytes[..bytes.len() / 2]), Err(Error::ImageTruncated { .. })));
}
