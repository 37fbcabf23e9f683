//! What `POST /images` takes.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use utoipa::ToSchema;

use super::Body;
use super::json::ImageJson;
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

impl FromRequest<App> for ImageJob {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<ImageJob, ApiError> {
        super::read(request, app).await
    }
}
