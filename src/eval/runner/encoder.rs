//! What the runner asks of whoever runs the networks.

use std::fmt;
use std::sync::Arc;

use homolog_core::features::FeatureMap;
use homolog_core::geometry::Fit;
use serde::{Deserialize, Serialize};

use super::Cancel;
use crate::dataset::Image;

/// An image's descriptors under one model, and how the image was brought onto the model's canvas.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The raw descriptors, `[h, w, c]`.
    pub features: Arc<FeatureMap<'static>>,
    /// The fit they were made under, for the image as displayed.
    pub fit: Fit,
}

impl Encoded {
    /// Bytes of the descriptors.
    pub fn bytes(&self) -> u64 {
        size_of_val(self.features.data()) as u64
    }
}

/// Makes feature maps of images. A model is a bundle at a resolution; the runner knows it by its index.
///
/// [`Settings::encoders`](super::Settings::encoders) threads call it at a time.
pub trait Encoder: Sync {
    /// How many models there are.
    fn models(&self) -> usize;

    /// Bytes that the descriptors of this image take under these models together. It must be what
    /// [`encode`](Encoder::encode) then gives: the plan is made with it.
    fn bytes(&self, image: &Image, models: &[usize]) -> u64;

    /// The descriptors of the image under each of `models`, in their order. One call for all of them, so that models with a
    /// common backbone can share its tokens. Should return soon after `cancel` is set; what it returns then is not used.
    ///
    /// # Errors
    /// [`EncodeError::Image`] if it is the image's fault: its pairs fail and the run goes on. [`EncodeError::Fatal`] if no image
    /// can be encoded any more: the run ends.
    fn encode(&self, image: &Image, models: &[usize], cancel: &Cancel) -> Result<Vec<Encoded>, EncodeError>;
}

/// Why an image was not encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The image is missing, damaged or refused.
    #[error("{0}")]
    Image(String),
    /// The encoder itself has failed.
    #[error(transparent)]
    Fatal(Box<dyn std::error::Error + Send + Sync>),
}

/// Why a pair has no result, as a sentence. It is counted and reported in the pair's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failure {
    /// The sentence.
    pub reason: String,
}

impl Failure {
    pub(super) fn new(reason: impl Into<String>) -> Failure {
        Failure { reason: reason.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}
