//! What `POST /images` takes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Body;
use super::json::{self, ImageJson};
use super::multipart::Parts;
use crate::app::App;
use crate::error::ApiError;

/// The part of the form; here for the specification only.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct ImageForm {
    /// The image: a JPEG, PNG or WebP file.
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    image: Vec<u8>,
}

/// An image as it was sent.
#[derive(Clone, Debug)]
pub struct ImageJob(pub Bytes);

/// An image of a request.
#[derive(Clone, Debug)]
pub enum ImageSource {
    /// Its file.
    File(Bytes),
    /// The id of one that was sent to `POST /images`.
    Id(String),
}

/// An image in JSON: its bytes, or the id of one that was sent before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRef {
    #[serde(default)]
    base64: Option<String>,
    #[serde(default)]
    id: Option<String>,
}

/// What [`ImageRef`] may be; here for the specification only.
#[derive(Serialize, ToSchema)]
#[schema(as = ImageRef)]
#[serde(untagged)]
#[allow(dead_code)]
pub enum ImageChoice {
    /// An image's bytes.
    File(ImageJson),
    /// An image that was sent to `POST /images`.
    Kept(KeptImage),
}

/// An image that was sent to `POST /images`.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub struct KeptImage {
    /// Its id, the SHA-256 of its bytes.
    id: String,
}

impl ImageRef {
    pub(super) fn source(self, field: &str) -> Result<ImageSource, ApiError> {
        match (self.base64, self.id) {
            (Some(base64), None) => json::bytes(&base64, field).map(ImageSource::File),
            (None, Some(id)) => Ok(ImageSource::Id(id)),
            (Some(_), Some(_)) => {
                Err(ApiError::invalid(field, "an image is given by `base64` or by `id`, not by both"))
            }
            (None, None) => {
                Err(ApiError::invalid(field, "an image is given by `base64` or by `id`, and there is neither"))
            }
        }
    }
}

impl Body for ImageJob {
    type Json = ImageJson;

    async fn from_form(mut parts: Parts<'_>) -> Result<ImageJob, ApiError> {
        let mut image = None;
        while let Some(part) = parts.next().await? {
            match part.name.as_str() {
                "image" => part.once(&mut image).await?,
                _ => return Err(part.unknown("image")),
            }
        }
        image.map(ImageJob).ok_or_else(|| ApiError::missing("image", "there is no image"))
    }

    fn from_json(_: &App, body: ImageJson) -> Result<ImageJob, ApiError> {
        body.decode("base64").map(ImageJob)
    }
}
