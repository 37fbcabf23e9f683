//! `POST /match`.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::SERVER_TIMING;
use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::middleware::Deadline;
use crate::request::{Admitted, Answered, MatchForm, MatchJob, MatchJson};
use crate::response::{Binary, MatchLine, MatchResponse, lines};
use crate::{pipeline, render};

/// Find points of the source in one or more targets.
///
/// The answer has one entry a target, and in it one match a point, both in the order of the request. With `Accept: image/png`
/// the answer is a picture instead: each target beside the source, the first 500 points numbered and joined. With `Accept:
/// application/x-ndjson` it is a line of JSON for each target as soon as that is searched, after a first line with what the answer has
/// beside its targets; a target that fails has a `problem` in its line, and the last line is `{"done":true}`. The header `Server-Timing` says how long decoding, waiting in the queue, encoding and matching took, in milliseconds.
#[utoipa::path(post, path = "/match", tag = "matching",
    params(("accept" = Option<String>, Header, description = "`application/json` (the default), `application/x-ndjson` or `image/png`")),
    request_body(content((MatchForm = "multipart/form-data"), (MatchJson = "application/json"))),
    responses(
        (status = OK, content((MatchResponse = "application/json"), (MatchLine = "application/x-ndjson"), (Binary = "image/png")), headers(
            ("server-timing" = String, description = "Milliseconds by stage: decode, queue, encode, match"),
            ("x-request-id" = String, description = "The request's id, as in the log; yours, if you sent one"),
        )),
        (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json", description = "`malformed-request`, `missing-image`, `empty-image`"),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json", description = "`unknown-model`"),
        (status = PAYLOAD_TOO_LARGE, body = Problem, content_type = "application/problem+json", description = "`body-too-large`, `image-too-large`"),
        (status = UNSUPPORTED_MEDIA_TYPE, body = Problem, content_type = "application/problem+json", description = "`unsupported-media-type`"),
        (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json", description = "`invalid-request`, `undecodable-image`"),
        (status = TOO_MANY_REQUESTS, body = Problem, content_type = "application/problem+json", description = "`queue-full`", headers(("retry-after" = u32, description = "Seconds"))),
        (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json", description = "`not-ready`", headers(("retry-after" = u32, description = "Seconds"))),
        (status = INTERNAL_SERVER_ERROR, body = Problem, content_type = "application/problem+json", description = "`internal-error`"),
        (status = GATEWAY_TIMEOUT, body = Problem, content_type = "application/problem+json", description = "`timeout`"),
    ))]
pub async fn match_pair(
    State(app): State<App>,
    answered: Answered,
    deadline: Option<Extension<Deadline>>,
    Admitted(job, place): Admitted<MatchJob>,
) -> Result<Response, ApiError> {
    if answered == Answered::Lines {
        let lines = pipeline::match_lines(&app, job).await?;
        let body = lines::body(lines, deadline.map(|Extension(deadline)| deadline), app, place);
        return Ok(([(CONTENT_TYPE, Answered::LINES)], body).into_response());
    }
    let picture = answered == Answered::Picture;
    let matched = pipeline::match_pair(&app, job, picture).await?;
    app.metrics().stages(&matched.timings, "match");
    let timing = [(SERVER_TIMING, matched.timings.header("match"))];
    if picture {
        let png = app.finishing().quick(move || render::overlay(&matched)).await??;
        return Ok((timing, [(CONTENT_TYPE, "image/png")], png).into_response());
    }
    Ok((timing, Json(matched.response)).into_response())
}
