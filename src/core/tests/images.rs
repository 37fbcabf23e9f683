//! Decoding held against Pillow's (tests/golden/images), and what becomes of pixels afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::PathBuf;

use homolog_core::Error;
use homolog_core::geometry::{Fit, FitMode, Size};
use homolog_core::image::{DecodeLimits, Interpolation, Normalisation, Photo, prepare, resize};
use safetensors::SafeTensors;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/images").join(name)
}

fn decode(name: &str) -> Photo {
    Photo::decode(&fs::read(golden(name)).unwrap(), &DecodeLimits::default()).unwrap()
}

/// Greatest and mean absolute difference to what Pillow decodes, of the same size.
fn difference(name: &str) -> (u8, f64) {
    let file = fs::read(golden("expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let expected = tensors.tensor(name).unwrap();
    let photo = decode(name);
    assert_eq!(expected.shape(), [photo.size().height as usize, photo.size().width as usize, 3], "{name}");
    let differences: Vec<u8> = photo.rgb().iter().zip(expected.data()).map(|(a, b)| a.abs_diff(*b)).collect();
    let mean = differences.iter().map(|&d| f64::from(d)).sum::<f64>() / differences.len() as f64;
    (*differences.iter().max().unwrap(), mean)
}

#[test]
fn lossless_files_decode_to_the_bytes_of_pillow() {
    for name in [
        "grey.png",
        "grey_alpha.png",
        "rgb.png",
        "rgba.png",
        "palette.png",
        "grey16.png",
        "rgb_lossless.webp",
        "orientation_6.png",
    ] {
        assert_eq!(difference(name), (0, 0.0), "{name}");
    }
}

#[test]
fn lossy_files_decode_to_nearly_the_bytes_of_pillow() {
    // the standards leave the rounding of the inverse transform and the interpolation of halved chroma to the decoder
    for name in ["rgb.jpg", "grey.jpg", "progressive.jpg", "cmyk.jpg", "rgb.webp", "rgba.webp", "orientation_6.webp"] {
        let (max, mean) = difference(name);
        println!("{name}: at most {max}, on average {mean:.3}");
        assert!(max <= 8 && mean <= 1.0, "{name}: at most {max}, on average {mean}");
    }
}

#[test]
fn all_eight_orientations_are_turned_upright() {
    for orientation in 1..=8 {
        let name = format!("orientation_{orientation}.jpg");
        let (max, mean) = difference(&name);
        println!("{name}: at most {max}, on average {mean:.3}");
        assert!(max <= 8 && mean <= 1.0, "{name}: at most {max}, on average {mean}");
    }
}

#[test]
fn an_orientation_behind_the_prefix_of_jpeg_is_found_in_webp() {
    // some writers copy JPEG's whole segment into the chunk, `Exif\0\0` included
    let mut webp = fs::read(golden("orientation_6.webp")).unwrap();
    let chunk = webp.windows(4).position(|name| name == b"EXIF").unwrap();
    webp.splice(chunk + 8..chunk + 8, *b"Exif\0\0");
    for length in [4, chunk + 4] {
        let field = webp[length..].first_chunk_mut().unwrap();
        *field = (u32::from_le_bytes(*field) + 6).to_le_bytes();
    }
    let photo = Photo::decode(&webp, &DecodeLimits::default()).unwrap();
    assert_eq!(photo, decode("orientation_6.webp"));
    assert_eq!(Photo::displayed_size(&webp).unwrap(), photo.size());
}

#[test]
fn the_size_that_a_header_tells_is_that_of_the_photo() {
    let mut files = 0;
    for entry in fs::read_dir(golden("")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension != "safetensors") {
            let bytes = fs::read(&path).unwrap();
            let photo = Photo::decode(&bytes, &DecodeLimits::default()).unwrap();
            assert_eq!(Photo::displayed_size(&bytes).unwrap(), photo.size(), "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 20);
}

#[test]
fn a_photo_holds_as_many_bytes_as_its_size_says() {
    let size = Size::new(2, 3);
    assert_eq!(Photo::from_rgb(size, vec![7; 18]).unwrap().size(), size);
    let error = Photo::from_rgb(size, vec![7; 17]).unwrap_err();
    assert_eq!(error.to_string(), "an RGB image of 2×3 pixels takes 18 bytes, not 17");
    for size in [Size::new(0, 3), Size::new(u32::MAX, u32::MAX)] {
        assert!(matches!(Photo::from_rgb(size, vec![]), Err(Error::PhotoLength { .. })));
    }
}

#[test]
fn a_resize_to_the_same_size_changes_nothing() {
    let photo = decode("rgb.png");
    for interpolation in [Interpolation::Bicubic, Interpolation::Bilinear] {
        assert_eq!(resize(&photo, photo.size(), interpolation).unwrap(), photo);
        assert_eq!(interpolation.to_string().parse::<Interpolation>().unwrap(), interpolation);
    }
    assert!(matches!(resize(&photo, Size::new(0, 4), Interpolation::Bicubic), Err(Error::Resize { .. })));
}

#[test]
fn pixels_are_normalised_channel_by_channel() {
    let photo = Photo::from_rgb(Size::new(2, 1), vec![0, 51, 255, 255, 102, 0]).unwrap();
    let fit = Fit::new(FitMode::Aspect, photo.size(), 2, 1).unwrap();
    let normalisation = Normalisation { mean: [0.5, 0.2, 0.0], std: [0.5, 0.1, 2.0] };
    let pixels = prepare(&photo, &fit, Interpolation::Bicubic, &normalisation).unwrap();
    assert_eq!(pixels.size(), Size::new(2, 1));
    // red (0, 1), green (0.2, 0.4), blue (1, 0)
    let expected = [-1.0, 1.0, 0.0, 2.0, 0.5, 0.0];
    assert!(pixels.data().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{:?}", pixels.data());
    assert_eq!(pixels.clone().into_data(), pixels.data());
}

#[test]
fn imagenet_statistics_are_those_of_torchvision() {
    let photo = Photo::from_rgb(Size::new(1, 1), vec![128; 3]).unwrap();
    let fit = Fit::new(FitMode::Squash, photo.size(), 1, 1).unwrap();
    let pixels = prepare(&photo, &fit, Interpolation::Bicubic, &Normalisation::IMAGENET).unwrap();
    // (128/255 − 0.485)/0.229 and so on
    let expected = [0.074065, 0.205182, 0.426492];
    assert!(pixels.data().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{:?}", pixels.data());
}

#[test]
fn padding_is_zero_after_normalising_and_the_picture_is_in_the_middle() {
    let photo = Photo::from_rgb(Size::new(40, 20), vec![255; 40 * 20 * 3]).unwrap();
    let fit = Fit::new(FitMode::Letterbox, photo.size(), 28, 14).unwrap();
    assert_eq!((fit.content(), fit.offset()), (Size::new(28, 14), (0, 7)));
    let pixels = prepare(&photo, &fit, Interpolation::Bicubic, &Normalisation::IMAGENET).unwrap();
    assert_eq!(pixels.data().len(), 3 * 28 * 28);
    for (channel, plane) in pixels.data().chunks(28 * 28).enumerate() {
        let white = (1.0 - Normalisation::IMAGENET.mean[channel]) / Normalisation::IMAGENET.std[channel];
        for (y, row) in plane.chunks(28).enumerate() {
            let expected = if (7..21).contains(&y) { white } else { 0.0 };
            assert_eq!(row, [expected; 28], "channel {channel}, row {y}");
        }
    }
    // upright: the padding stands left and right
    let photo = Photo::from_rgb(Size::new(20, 40), vec![255; 40 * 20 * 3]).unwrap();
    let fit = Fit::new(FitMode::Letterbox, photo.size(), 28, 14).unwrap();
    let pixels = prepare(&photo, &fit, Interpolation::Bilinear, &Normalisation::IMAGENET).unwrap();
    for row in pixels.data().chunks(28) {
        assert!(row[..7].iter().chain(&row[21..]).all(|&value| value == 0.0));
        assert!(row[7..21].iter().all(|&value| value > 2.0));
    }
}

#[test]
fn a_padded_picture_stands_in_the_corner() {
    let photo = Photo::from_rgb(Size::new(40, 20), vec![255; 40 * 20 * 3]).unwrap();
    let fit = Fit::new(FitMode::Pad, photo.size(), 32, 16).unwrap();
    let pixels = prepare(&photo, &fit, Interpolation::Bicubic, &Normalisation::IMAGENET).unwrap();
    for (y, row) in pixels.data().chunks(32).enumerate() {
        assert!(row.iter().all(|&value| if y % 32 < 16 { value > 2.0 } else { value == 0.0 }), "row {y}");
    }
}

#[test]
fn a_fit_made_for_another_image_is_refused() {
    let fit = Fit::new(FitMode::Squash, Size::new(24, 32), 28, 14).unwrap();
    let error = prepare(&decode("rgb.png"), &fit, Interpolation::Bicubic, &Normalisation::IMAGENET).unwrap_err();
    assert_eq!(error.to_string(), "the fit was made for an image of 24×32 pixels, and this one has 32×24");
}
