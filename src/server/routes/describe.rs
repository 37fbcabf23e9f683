//! `POST /describe`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::response::{IntoResponse, Response};

use super::SERVER_TIMING;
use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::pipeline;
use crate::request::{Admitted, Answer, DescribeForm, DescribeJob, DescribeJson};
use crate::response::Binary;

const DESCRIPTION: HeaderName = HeaderName::from_static("x-homolog-describe");

/// Give the descriptors of an image.
///
/// They are what `POST /match` matches, one a token: an array `[h, w, channels]` in C order, little-endian, as npy or
/// safetensors. The header `x-homolog-describe` says what they are as one JSON object: model, grid, fit, and the map from cells
/// to pixels; a safetensors file has the same text in its metadata under `homolog`. The header `Server-Timing` says how long
/// decoding, waiting in the queue, encoding and writing took, in milliseconds.
#[utoipa::path(post, path = "/describe", tag = "descriptors",
    params(("accept" = Option<String>, Header, description = "`application/x-npy` (the default), `application/vnd.safetensors`, or \
        `application/octet-stream` for either; it must admit what the field `format` asks for")),
    request_body(content((DescribeForm = "multipart/form-data"), (DescribeJson = "application/json"))),
    responses(
        (status = OK, content((Binary = "application/x-npy"), (Binary = "application/vnd.safetensors"), (Binary = "application/octet-stream")),
            headers(("x-homolog-describe" = String, description = "What the numbers are: a `Description` as JSON"))),
        (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json", description = "`malformed-request`, `missing-image`, `empty-image`"),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json", description = "`unknown-model`"),
        (status = NOT_ACCEPTABLE, body = Problem, content_type = "application/problem+json", description = "`not-acceptable`"),
        (status = PAYLOAD_TOO_LARGE, body = Problem, content_type = "application/problem+json", description = "`body-too-large`, `image-too-large`"),
        (status = UNSUPPORTED_MEDIA_TYPE, body = Problem, content_type = "application/problem+json", description = "`unsupported-media-type`"),
        (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json", description = "`invalid-request`, `undecodable-image`"),
        (status = TOO_MANY_REQUESTS, body = Problem, content_type = "application/problem+json", description = "`queue-full`", headers(("retry-after" = u32, description = "Seconds"))),
        (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json", description = "`not-ready`", headers(("retry-after" = u32, description = "Seconds"))),
        (status = INTERNAL_SERVER_ERROR, body = Problem, content_type = "application/problem+json", description = "`internal-error`"),
        (status = GATEWAY_TIMEOUT, body = Problem, content_type = "application/problem+json", description = "`timeout`"),
    ))]
pub async fn describe(
    State(app): State<App>,
    headers: HeaderMap,
    Admitted(job, _place): Admitted<DescribeJob>,
) -> Result<Response, ApiError> {
    let answer = Answer::new(&headers, job.settings.format)?;
    let described = pipeline::describe(&app, job, answer.format).await?;
    app.metrics().stages(&described.timings, "write");
    let headers = [(SERVER_TIMING, described.timings.header("write")), (DESCRIPTION, described.json)];
    Ok((headers, [(CONTENT_TYPE, answer.media_type)], described.file).into_response())
}
