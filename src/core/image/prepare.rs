//! The last step before the network: resized, normalised, padded.

use serde::{Deserialize, Serialize};

use super::{Interpolation, Photo, resize};
use crate::Error;
use crate::geometry::{Fit, Size};

/// What is subtracted from each channel and what it is then divided by, for values on 0..1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// Mean of red, green and blue.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue; above 0.
    pub std: [f32; 3],
}

impl Normalisation {
    /// The statistics of ImageNet, which DINOv2, DINOv3 and (times 255) SAM were trained with.
    pub const IMAGENET: Normalisation = Normalisation { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

    /// `(value / 255 − mean) / std` of all 256 values of a channel, in f32 and in this order, as torchvision computes it.
    fn table(&self, channel: usize) -> [f32; 256] {
        std::array::from_fn(|value| (value as f32 / 255.0 - self.mean[channel]) / self.std[channel])
    }
}

/// What a network takes of one image: `[3, height, width]`, normalised.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels {
    size: Size,
    data: Vec<f32>,
}

impl Pixels {
    /// Values that are normalised already, `[3, height, width]`: another implementation's input, say.
    ///
    /// # Errors
    /// [`Error::PhotoLength`] unless there are 3 × height × width numbers, and at least one.
    pub fn from_chw(size: Size, data: Vec<f32>) -> Result<Pixels, Error> {
        let expected = size.pixels().saturating_mul(3);
        if expected == 0 || data.len() as u64 != expected {
            return Err(Error::PhotoLength { size, expected, found: data.len() });
        }
        Ok(Pixels { size, data })
    }

    /// Size of the canvas, px.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The values, `[3, height, width]`, row-major, channels red, green, blue.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The values, without a copy.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }
}

/// Brings a photo onto the canvas of its fit: resized to the content, normalised, and zeros around.
///
/// The padding is zero *after* normalising, the colour of the mean, and not black.
///
/// # Errors
/// [`Error::FitForAnotherImage`] if the fit was made for another size than the photo's; [`Error::Resize`] does not occur for
/// a [`Fit`] made by [`Fit::new`].
pub fn prepare(
    photo: &Photo,
    fit: &Fit,
    interpolation: Interpolation,
    normalisation: &Normalisation,
) -> Result<Pixels, Error> {
    if photo.size() != fit.image() {
        return Err(Error::FitForAnotherImage { expected: fit.image(), found: photo.size() });
    }
    let content = resize(photo, fit.content(), interpolation)?;
    let (canvas_width, canvas_height) = (fit.input().width as usize, fit.input().height as usize);
    let (width, left, top) = (fit.content().width as usize, fit.offset().0 as usize, fit.offset().1 as usize);
    let mut data = vec![0.0; 3 * canvas_width * canvas_height];
    for (channel, plane) in data.chunks_exact_mut(canvas_width * canvas_height).enumerate() {
        let table = normalisation.table(channel);
        let rows = plane.chunks_exact_mut(canvas_width).skip(top);
        for (row, pixels) in rows.zip(content.rgb().chunks_exact(3 * width)) {
            for (value, pixel) in row[left..left + width].iter_mut().zip(pixels.chunks_exact(3)) {
                *value = table[usize::from(pixel[channel])];
            }
        }
    }
    Ok(Pixels { size: fit.input(), data })
}
