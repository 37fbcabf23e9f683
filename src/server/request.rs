//! From a body, multipart or JSON, to a job of the [`pipeline`](crate::pipeline): here what is the same for every route, one
//! route's own words in a file beside it.

mod accept;
mod describe;
mod eval;
mod image;
mod json;
mod match_pair;
pub mod multipart;

use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use bytes::Bytes;
use homolog_core::bundle::Manifest;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;

use crate::app::App;
use crate::error::ApiError;
use crate::middleware::Reservation;
pub use describe::{Answer, DescribeForm, DescribeJob, DescribeJson, DescribeSettings, Format};
pub use eval::{EvalForm, EvalJob, EvalJson, EvalSettings, PckRequest, ResultType, RunSettings};
pub use image::{ImageForm, ImageJob, ImageRef, ImageSource};
pub use json::ImageJson;
pub use match_pair::{Answered, MatchForm, MatchJob, MatchJson, MatchSettings};

/// A job that comes as a form or as JSON.
pub trait Body: Sized + Send + 'static {
    /// The JSON object it may come as.
    type Json: DeserializeOwned + Send;

    /// Reads the parts as they come.
    fn from_form(parts: multipart::Parts<'_>) -> impl Future<Output = Result<Self, ApiError>> + Send;

    /// Decodes what is in base64.
    fn from_json(app: &App, body: Self::Json) -> Result<Self, ApiError>;
}

/// A job whose body is there, and its place among the requests that are answered at once.
pub struct Admitted<J>(pub J, pub Place);

/// Held until the answer is there.
pub struct Place {
    _place: OwnedSemaphorePermit,
    _body: Option<Reservation>,
}

impl<J: Body> FromRequest<App> for Admitted<J> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Admitted<J>, ApiError> {
        let body = request.extensions().get::<Reservation>().cloned();
        let job = read(request, app).await?;
        // taken only now: a caller that sends slowly holds up nobody
        Ok(Admitted(job, Place { _place: app.admit()?, _body: body }))
    }
}

/// Bodies up to this length, in bytes, are read where they are, which takes less than the way to a pool.
const SHORT: usize = 32 << 10;

/// Reads the body as its content type says.
async fn read<J: Body>(request: Request, app: &App) -> Result<J, ApiError> {
    // before the body is read: it would be in vain
    app.engine()?;
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let essence = kind.as_deref().map(essence);
    match essence.as_deref() {
        Some("multipart/form-data") => J::from_form(multipart::Parts::new(request, app).await?).await,
        Some("application/json") => {
            let body = Bytes::from_request(request, app).await;
            let body = body.map_err(|error| unreadable(app, error.status(), error.body_text()))?;
            if body.len() <= SHORT {
                return from_json(app, &body);
            }
            let owned = app.clone();
            // tens of megabytes of base64 would hold up the other requests of this thread
            app.reading().quick(move || from_json(&owned, &body)).await?
        }
        _ => Err(ApiError::MediaType { found: kind }),
    }
}

/// The job in a body that is JSON.
///
/// # Errors
/// [`ApiError::Malformed`] for what is not JSON or not base64, [`ApiError::Invalid`] for JSON of another shape, and whatever the
/// job itself refuses.
pub fn from_json<J: Body>(app: &App, body: &[u8]) -> Result<J, ApiError> {
    J::from_json(app, json::parse(body)?)
}

/// The job in a body that is a form, its parts divided by `boundary`.
///
/// # Errors
/// [`ApiError::Malformed`] for what is no form, and whatever the job itself refuses.
pub async fn from_form<J: Body>(app: &App, body: Bytes, boundary: &str) -> Result<J, ApiError> {
    let kind = format!("multipart/form-data; boundary={boundary}");
    let request = Request::builder().header(header::CONTENT_TYPE, kind).body(body.into());
    let request = request.map_err(|error| ApiError::malformed(None, error.to_string()))?;
    J::from_form(multipart::Parts::new(request, app).await?).await
}

/// The media type without its parameters.
fn essence(value: &str) -> String {
    let (essence, _) = value.split_once(';').unwrap_or((value, ""));
    essence.trim().to_ascii_lowercase()
}

/// The side of the network's input that a request takes: the one in `field`, which the model must offer, or its default.
///
/// # Errors
/// [`ApiError::Invalid`].
pub fn resolution(manifest: &Manifest, asked: Option<u32>, field: &str) -> Result<u32, ApiError> {
    let resolution = asked.unwrap_or(manifest.default_resolution);
    if manifest.resolutions.contains(&resolution) {
        return Ok(resolution);
    }
    let offered: Vec<String> = manifest.resolutions.iter().map(u32::to_string).collect();
    let (id, offered) = (&manifest.id, offered.join(", "));
    Err(ApiError::invalid(field, format!("{resolution} is not offered by {id}; choose one of {offered}")))
}

/// What axum says of a body that it could not read, as our own error.
fn unreadable(app: &App, status: StatusCode, detail: String) -> ApiError {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        let limit = app.config().max_body_bytes;
        return ApiError::BodyTooLarge { limit };
    }
    ApiError::malformed(None, detail)
}
