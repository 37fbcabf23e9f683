//! Evaluations: taken, listed, looked at, ended.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use homolog_jobs::Created;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::pipeline;
use crate::request::{Admitted, EvalForm, EvalJob, EvalJson};
use crate::response::{EvalList, EvalResponse};

/// Longest idempotency key, in bytes.
const LONGEST_KEY: usize = 255;

/// Evaluate models over many pairs.
///
/// The pairs are those of a registered dataset, or come with the request. The answer is a job: follow it under `Location`, or at
/// `/eval/{id}/events`. It outlives the service: what was measured is kept as it is made, and a service that starts again goes on
/// where the last one stopped. A request that is repeated under its `Idempotency-Key` gives the same job.
#[utoipa::path(post, path = "/eval", tag = "evaluation",
    params(("idempotency-key" = Option<String>, Header, description = "Your own name for this request, at most 255 bytes")),
    request_body(content((EvalJson = "application/json"), (EvalForm = "multipart/form-data"))),
    responses(
        (status = ACCEPTED, body = EvalResponse, headers(("location" = String, description = "`/eval/{id}`"))),
        (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json", description = "`malformed-request`, `empty-image`"),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json", description = "`unknown-dataset`, `unknown-model`, `unknown-image`"),
        (status = PAYLOAD_TOO_LARGE, body = Problem, content_type = "application/problem+json", description = "`body-too-large`, `image-too-large`"),
        (status = UNSUPPORTED_MEDIA_TYPE, body = Problem, content_type = "application/problem+json", description = "`unsupported-media-type`"),
        (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json", description = "`invalid-request`, `undecodable-image`, `unusable-dataset`, `idempotency-key-reused`"),
        (status = TOO_MANY_REQUESTS, body = Problem, content_type = "application/problem+json", description = "`queue-full`", headers(("retry-after" = u32, description = "Seconds"))),
        (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json", description = "`not-ready`, `storage-unavailable`"),
        (status = INSUFFICIENT_STORAGE, body = Problem, content_type = "application/problem+json", description = "`storage-full`"),
        (status = INTERNAL_SERVER_ERROR, body = Problem, content_type = "application/problem+json", description = "`internal-error`"),
        (status = GATEWAY_TIMEOUT, body = Problem, content_type = "application/problem+json", description = "`timeout`"),
    ))]
pub async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    Admitted(job, _place): Admitted<EvalJob>,
) -> Result<Response, ApiError> {
    let key = idempotency_key(&headers)?;
    let (Created::New(id) | Created::Before(id)) = pipeline::evaluate(&app, job, key.as_deref()).await?;
    let job = look(&app, &id).await?;
    Ok((StatusCode::ACCEPTED, [(LOCATION, format!("/eval/{id}"))], Json(job)).into_response())
}

/// Which evaluations are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// How many newer ones to pass over.
    #[serde(default)]
    skip: u32,
    /// How many to list, at most 100; 20 when left out.
    #[param(maximum = 100)]
    limit: Option<u32>,
}

/// List evaluations, the newest first.
#[utoipa::path(get, path = "/eval", tag = "evaluation", params(Page), responses(
    (status = OK, body = EvalList),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json", description = "`invalid-request`"),
    (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json", description = "`storage-unavailable`"),
))]
pub async fn list(
    State(app): State<App>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<EvalList>, ApiError> {
    let Query(page) = page.map_err(|error| ApiError::invalid("query", error.body_text()))?;
    let limit = page.limit.unwrap_or(20);
    if !(1..=100).contains(&limit) {
        return Err(ApiError::invalid("limit", format!("{limit} is not in 1..=100")));
    }
    let jobs = app.jobs()?;
    let found = jobs.store().jobs(page.skip as usize, limit as usize).await?;
    let evaluations = found.into_iter().map(|job| EvalResponse::new(job, jobs.trouble())).collect();
    Ok(Json(EvalList { evaluations }))
}

/// Look at an evaluation: what it is, and how far.
#[utoipa::path(get, path = "/eval/{id}", tag = "evaluation", params(("id" = String, Path, description = "The evaluation's id")), responses(
    (status = OK, body = EvalResponse),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json", description = "`unknown-evaluation`"),
    (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json", description = "`storage-unavailable`"),
))]
pub async fn show(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<EvalResponse>, ApiError> {
    let Path(id) = id.map_err(|_| ApiError::NotFound)?;
    Ok(Json(look(&app, &id).await?))
}

/// What a deletion does beside cancelling.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Forget {
    /// Whether the evaluation is forgotten, with every result. Otherwise one that has ended stays as it is.
    #[serde(default)]
    forget: bool,
}

/// Cancel an evaluation, or forget it.
///
/// One that waits or runs stops within a second. One that has ended stays as it is, so that the request may be repeated; with
/// `forget=true` it is gone with its results.
#[utoipa::path(delete, path = "/eval/{id}", tag = "evaluation", params(("id" = String, Path, description = "The evaluation's id"), Forget), responses(
    (status = OK, body = EvalResponse, description = "It is cancelled, or had ended before"),
    (status = NO_CONTENT, description = "It is forgotten"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json", description = "`invalid-request`"),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json", description = "`unknown-evaluation`"),
    (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json", description = "`storage-unavailable`"),
    (status = INSUFFICIENT_STORAGE, body = Problem, content_type = "application/problem+json", description = "`storage-full`"),
))]
pub async fn delete(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    forget: Result<Query<Forget>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Path(id) = id.map_err(|_| ApiError::NotFound)?;
    let Query(Forget { forget }) = forget.map_err(|error| ApiError::invalid("query", error.body_text()))?;
    let jobs = app.jobs()?;
    jobs.cancel(&id).await?;
    if !forget {
        return Ok(Json(look(&app, &id).await?).into_response());
    }
    match jobs.store().forget(&id).await? {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(homolog_jobs::Error::UnknownJob { id }.into()),
    }
}

pub(super) async fn look(app: &App, id: &str) -> Result<EvalResponse, ApiError> {
    let jobs = app.jobs()?;
    Ok(EvalResponse::new(jobs.store().job(id).await?, jobs.trouble()))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let wrong = |detail: &str| ApiError::invalid("idempotency-key", detail);
    let key = value.to_str().map_err(|_| wrong("it is not visible ASCII"))?.trim();
    match key.len() {
        0 => Err(wrong("it is empty")),
        1..=LONGEST_KEY => Ok(Some(key.to_owned())),
        _ => Err(wrong("it is longer than 255 bytes")),
    }
}
