//! How far descriptors are from others.

use crate::Error;
use homolog_core::{features::FeatureMap, geometry::Size, image::Photo};
use serde::Serialize;

/// How a map of descriptors differs from another of the same tokens.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Difference {
    /// `‖ours − theirs‖ / ‖theirs‖` over the whole map.
    pub relative_error: f64,
    /// Cosine of a token's descriptor to the other, mean over tokens.
    pub cosine_mean: f64,
    /// The same, the smallest of all tokens.
    pub cosine_min: f64,
}

impl Difference {
    /// Compares maps token by token; a cosine with a descriptor of zeros is 0.
    ///
    /// # Errors
    /// When they are not of one size.
    pub fn of(ours: &FeatureMap, theirs: &FeatureMap) -> Result<Difference, Error> {
        let channels = ours.channels();
        let relative_error = relative_error(ours.data(), theirs.data())?;
        let tokens = ours.data().chunks_exact(channels).zip(theirs.data().chunks_exact(channels));
        let (mut sum, mut min, mut count) = (0.0, f64::INFINITY, 0.0);
        for (a, b) in tokens {
            let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE);
            (sum, min, count) = (sum + cosine, min.min(cosine), count + 1.0);
        }
        Ok(Difference { relative_error, cosine_mean: sum / count, cosine_min: min })
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// `‖ours − theirs‖ / ‖theirs‖`, summed in double precision.
///
/// # Errors
/// When the lengths differ.
pub fn relative_error(ours: &[f32], theirs: &[f32]) -> Result<f64, Error> {
    if ours.len() != theirs.len() {
        return Err(Error::Failed(format!("{} values against {}", ours.len(), theirs.len())));
    }
    let square = |value: f64| value * value;
    let difference: f64 = ours.iter().zip(theirs).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let norm: f64 = theirs.iter().map(|value| square(f64::from(*value))).sum();
    Ok((difference / norm).sqrt())
}

/// A picture with smooth parts, edges and fine detail, the same everywhere: what descriptors are compared on.
///
/// # Errors
/// None that the size given here could cause.
pub(super) fn picture() -> Result<Photo, Error> {
    let size = Size::new(480, 360);
    let mut state = 1u32;
    let mut rgb = Vec::with_capacity(3 * size.pixels() as usize);
    for y in 0..size.height {
        for x in 0..size.width {
            let waves = (x as f32 / 37.0).sin() + (y as f32 / 23.0 + x as f32 / 90.0).cos();
            let tile = (x / 60 * 7 + y / 45 * 5) % 4;
            for channel in 0..3 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let colour = if tile == channel { 70.0 } else { 0.0 };
                rgb.push((90.0 + 40.0 * waves + colour + (state >> 27) as f32) as u8);
            }
        }
    }
    Ok(Photo::from_rgb(size, rgb)?)
}
