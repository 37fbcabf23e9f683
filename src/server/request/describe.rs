//! What `POST /describe` takes, and in which form it answers.

use axum::http::HeaderMap;
use homolog_core::features::Dtype;
use serde::Deserialize;
use utoipa::ToSchema;

use super::image::{ImageChoice, ImageRef, ImageSource};
use super::json;
use super::multipart::Parts;
use super::{Body, accept};
use crate::app::App;
use crate::error::ApiError;

const OCTETS: &str = "application/octet-stream";

/// The file that descriptors are sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// NumPy's format 1.0.
    Npy,
    /// One tensor `descriptors`; the description is its metadata `homolog`.
    Safetensors,
}

impl Format {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Npy => "application/x-npy",
            Format::Safetensors => "application/vnd.safetensors",
        }
    }
}

/// How the descriptors are wanted.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DescribeSettings {
    /// The model's id; the service's default when left out.
    #[serde(default)]
    pub model: Option<String>,
    /// Side of the network's input in pixels, one of those the model offers; its default when left out.
    #[serde(default)]
    pub resolution: Option<u32>,
    /// Whether to divide each descriptor by its Euclidean length (one of zeros stays one), as the matcher does before it compares;
    /// not when left out: then they are what the model gave.
    #[serde(default)]
    pub normalise: Option<bool>,
    /// The file; what `Accept` prefers when left out, and npy when that has no preference.
    #[serde(default)]
    pub format: Option<Format>,
    /// The numbers in it; `f32` when left out.
    #[serde(default)]
    pub dtype: Option<Dtype>,
}

/// The parts of the form; here for the specification only, since parts are read as they come.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct DescribeForm {
    /// The image: a JPEG, PNG or WebP file.
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    image: Vec<u8>,
    /// How the descriptors are wanted, as JSON; the part may be left out.
    #[schema(nullable = false)]
    request: Option<DescribeSettings>,
}

/// [`DescribeSettings`] and the image.
// once more, for the reason given at `MatchJson`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DescribeJson {
    /// The image.
    #[serde(default)]
    #[schema(required, nullable = false, value_type = ImageChoice)]
    image: Option<ImageRef>,
    /// The model's id; the service's default when left out.
    #[serde(default)]
    model: Option<String>,
    /// Side of the network's input in pixels, one of those the model offers; its default when left out.
    #[serde(default)]
    resolution: Option<u32>,
    /// Whether to divide each descriptor by its Euclidean length (one of zeros stays one), as the matcher does before it compares;
    /// not when left out: then they are what the model gave.
    #[serde(default)]
    normalise: Option<bool>,
    /// The file; what `Accept` prefers when left out, and npy when that has no preference.
    #[serde(default)]
    format: Option<Format>,
    /// The numbers in it; `f32` when left out.
    #[serde(default)]
    dtype: Option<Dtype>,
}

/// A request as the pipeline takes it: the file as it was sent, and what is asked for.
#[derive(Clone, Debug)]
pub struct DescribeJob {
    /// How the descriptors are wanted.
    pub settings: DescribeSettings,
    /// The image.
    pub image: ImageSource,
}

impl DescribeJob {
    fn new(settings: DescribeSettings, image: Option<ImageSource>) -> Result<DescribeJob, ApiError> {
        let image = image.ok_or_else(|| ApiError::missing("image", "there is no image"))?;
        Ok(DescribeJob { settings, image })
    }
}

impl Body for DescribeJob {
    type Json = DescribeJson;

    async fn from_form(mut parts: Parts<'_>) -> Result<DescribeJob, ApiError> {
        let (mut image, mut settings) = (None, None);
        while let Some(part) = parts.next().await? {
            match part.name.as_str() {
                "image" => part.once(&mut image).await?,
                "request" => part.once(&mut settings).await?,
                _ => return Err(part.unknown("image and request")),
            }
        }
        let settings = settings.map(|text| json::parse(&text)).transpose()?;
        DescribeJob::new(settings.unwrap_or_default(), image.map(ImageSource::File))
    }

    fn from_json(_: &App, body: DescribeJson) -> Result<DescribeJob, ApiError> {
        let image = body.image.map(|image| image.source("image")).transpose()?;
        let DescribeJson { model, resolution, normalise, format, dtype, .. } = body;
        DescribeJob::new(DescribeSettings { model, resolution, normalise, format, dtype }, image)
    }
}

/// The form of the answer that `format` and `Accept` agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The file.
    pub format: Format,
    /// What it is called in `Content-Type`: its own media type, or plain octets for whoever accepts nothing else.
    pub media_type: &'static str,
}

impl Answer {
    /// What was asked for must be accepted; without a word about the format, what is accepted is taken.
    ///
    /// # Errors
    /// [`ApiError::NotAcceptable`].
    pub fn new(headers: &HeaderMap, asked: Option<Format>) -> Result<Answer, ApiError> {
        let (npy, safetensors) = (Format::Npy.media_type(), Format::Safetensors.media_type());
        let offered = match asked {
            Some(format) => vec![format.media_type(), OCTETS],
            None => vec![npy, safetensors, OCTETS],
        };
        let Some(media_type) = accept::preferred(headers, &offered) else {
            return Err(ApiError::NotAcceptable { offered: offered.join(", ") });
        };
        let liked = if media_type == safetensors { Format::Safetensors } else { Format::Npy };
        Ok(Answer { format: asked.unwrap_or(liked), media_type })
    }
}
