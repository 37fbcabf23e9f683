//! How photos become a bundle's input.

use super::Manifest;
use crate::{
    Error,
    geometry::{Fit, FitMode, Size},
    image::{Interpolation, Normalisation, Photo, Pixels, prepare},
};

/// Everything that decides what a network sees of a photo: bundles with equal preparations take the same pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preparation {
    /// How the photo is fitted to the canvas.
    pub fit: FitMode,
    /// Side of the canvas, px.
    pub resolution: u32,
    /// Side of a patch, px of the canvas.
    pub patch: u32,
    /// How the photo is resized.
    pub interpolation: Interpolation,
    /// What is subtracted from and divided out of its values.
    pub normalisation: Normalisation,
}

impl Preparation {
    /// The fit of a photo of that size, px.
    ///
    /// # Errors
    /// As [`Fit::new`].
    pub fn fit(&self, photo: Size) -> Result<Fit, Error> {
        Fit::new(self.fit, photo, self.resolution, self.patch)
    }

    /// A photo's pixels, and the fit they were made under.
    ///
    /// # Errors
    /// As [`Fit::new`] and [`prepare`].
    pub fn prepare(&self, photo: &Photo) -> Result<(Pixels, Fit), Error> {
        let fit = self.fit(photo.size())?;
        Ok((prepare(photo, &fit, self.interpolation, &self.normalisation)?, fit))
    }
}

impl Manifest {
    /// How photos are prepared at a resolution, which need not be one that is [offered](Manifest::resolutions).
    pub fn preparation(&self, resolution: u32) -> Preparation {
        Preparation {
            fit: self.fit,
            resolution,
            patch: self.backbone.patch,
            interpolation: self.interpolation,
            normalisation: self.normalisation,
        }
    }
}
