//! Image files: decoded within small limits, then prepared for a network in every way.

#![no_main]

use homolog_core::geometry::{Fit, FitMode};
use homolog_core::image::{DecodeLimits, Interpolation, Normalisation, Photo, prepare};
use libfuzzer_sys::fuzz_target;

const LIMITS: DecodeLimits =
    DecodeLimits { max_width: 2048, max_height: 2048, max_pixels: 1 << 20, max_alloc: 16 << 20 };

fuzz_target!(|bytes: &[u8]| {
    let Ok(photo) = Photo::decode(bytes, &LIMITS) else { return };
    let size = photo.size();
    assert!(size.width.max(size.height) <= LIMITS.max_width && size.pixels() <= LIMITS.max_pixels);
    assert_eq!(photo.rgb().len() as u64, 3 * size.pixels());
    for mode in [FitMode::Squash, FitMode::Letterbox, FitMode::Pad, FitMode::Aspect] {
        for interpolation in [Interpolation::Bilinear, Interpolation::Bicubic] {
            let fit = Fit::new(mode, size, 28, 14).expect("a photo has pixels");
            let pixels = prepare(&photo, &fit, interpolation, &Normalisation::IMAGENET).expect("its own fit");
            assert!(pixels.data().iter().all(|value| value.is_finite()));
        }
    }
});
