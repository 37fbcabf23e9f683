//! From a body, multipart or JSON, to a [`Job`]: everything that is the same for both from there on.

mod json;
mod multipart;

use std::convert::Infallible;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use bytes::Bytes;
use homolog_core::features::Sampling;
use homolog_core::geometry::Point;
use homolog_core::matching::Matcher;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
pub use json::MatchJson;
pub use multipart::MatchForm;

/// What is asked for, beside the images.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchSettings {
    /// The model's id; the service's default when left out.
    #[serde(default)]
    pub model: Option<String>,
    /// The points of the source that are looked for.
    #[serde(default)]
    #[schema(required, example = json!([[120.0, 80.0], [200.0, 95.0]]))]
    pub points: Vec<Point>,
    /// How a place is read off the similarities; the model's own way when left out.
    #[serde(default)]
    pub matcher: Option<Matcher>,
    /// How the source is read between its tokens; the model's own way when left out.
    #[serde(default)]
    pub sampling: Option<Sampling>,
    /// Side of the network's input in pixels, one of those the model offers; its default when left out.
    #[serde(default)]
    pub resolution: Option<u32>,
    /// How many candidates to report for each point beside its match; none when left out.
    #[serde(default)]
    pub top_k: Option<usize>,
    /// Whether to match each prediction back and report how far from its point it comes out; not when left out.
    #[serde(default)]
    pub cycle: Option<bool>,
}

/// A request as the pipeline takes it: the files as they were sent, and what is asked for.
#[derive(Clone, Debug)]
pub struct Job {
    /// What is asked for.
    pub settings: MatchSettings,
    /// The file with the points.
    pub source: Bytes,
    /// The files to look in, at least one.
    pub targets: Vec<Bytes>,
}

impl Job {
    /// Refuses what is missing; the files themselves are looked at by the decoder.
    fn new(app: &App, settings: MatchSettings, source: Option<Bytes>, targets: Vec<Bytes>) -> Result<Job, ApiError> {
        let missing =
            |field: &str, detail: &str| ApiError::MissingImage { field: field.to_owned(), detail: detail.to_owned() };
        let source = source.ok_or_else(|| missing("source", "there is no source image"))?;
        if targets.is_empty() {
            return Err(missing("target", "there is no target image"));
        }
        check_targets(app, targets.len())?;
        Ok(Job { settings, source, targets })
    }
}

impl FromRequest<App> for Job {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Job, ApiError> {
        // before the body is read: it would be in vain
        app.engine()?;
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let essence = kind.as_deref().map(essence);
        match essence.as_deref() {
            Some("multipart/form-data") => multipart::read(request, app).await,
            Some("application/json") => json::read(request, app).await,
            _ => Err(ApiError::MediaType { found: kind }),
        }
    }
}

/// Whether the answer is to be a picture: `Accept` names `image/png`, and does not like JSON as much.
#[derive(Clone, Copy, Debug)]
pub struct Picture(bool);

impl Picture {
    /// Whether it is.
    pub fn wanted(self) -> bool {
        self.0
    }
}

impl FromRequestParts<App> for Picture {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Picture, Infallible> {
        // weight first, then how exactly the type is named
        let (mut png, mut json) = ((0.0, 0), (0.0, 0));
        let raise = |best: &mut (f32, u8), weight: f32, exact: u8| {
            if (weight, exact) > *best {
                *best = (weight, exact);
            }
        };
        let accepted = parts.headers.get_all(header::ACCEPT).iter();
        for range in accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
            let weight = quality(range);
            match essence(range).as_str() {
                "image/png" => raise(&mut png, weight, 2),
                "image/*" => raise(&mut png, weight, 1),
                "application/json" => raise(&mut json, weight, 2),
                "application/*" => raise(&mut json, weight, 1),
                "*/*" => raise(&mut json, weight, 0),
                _ => {}
            }
        }
        Ok(Picture(png > json))
    }
}

/// The media type without its parameters.
fn essence(value: &str) -> String {
    let (essence, _) = value.split_once(';').unwrap_or((value, ""));
    essence.trim().to_ascii_lowercase()
}

/// The weight of a media range, 1 when it has none.
fn quality(range: &str) -> f32 {
    let mut parameters = range.split(';').skip(1);
    let weight = parameters.find_map(|parameter| parameter.trim().strip_prefix("q="));
    weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0))
}

fn check_targets(app: &App, count: usize) -> Result<(), ApiError> {
    let most = app.config().max_targets;
    if count > most {
        let detail = format!("at most {most} target images are accepted in a request");
        return Err(ApiError::invalid("target", detail));
    }
    Ok(())
}

/// What axum says of a body that it could not read, as our own error.
fn unreadable(app: &App, status: StatusCode, detail: String) -> ApiError {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        let limit = app.config().max_body_bytes;
        return ApiError::BodyTooLarge { limit };
    }
    ApiError::malformed(None, detail)
}
