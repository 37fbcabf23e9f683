//! What came of an evaluation: the document, tables, the report.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use homolog_eval::Evaluation;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::pipeline;
use crate::request::ResultType;

/// What is given of a result.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Parts {
    /// Whether every prediction is given: in JSON beside the numbers, as CSV instead of them. Not when left out.
    #[serde(default)]
    predictions: bool,
}

/// Get the numbers of an evaluation that is done.
///
/// As JSON, or as CSV with one PCK a row (`predictions=true`: one prediction a row). The same results give the same bytes.
#[utoipa::path(get, path = "/eval/{id}/result", tag = "evaluation",
    params(("id" = String, Path, description = "The evaluation's id"), Parts,
        ("accept" = Option<String>, Header, description = "`application/json` (the default) or `text/csv`")),
    responses(
        (status = OK, content((Evaluation = "application/json"), (String = "text/csv"))),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json", description = "`unknown-evaluation`, `unknown-dataset`: it is not registered any more"),
        (status = NOT_ACCEPTABLE, body = Problem, content_type = "application/problem+json", description = "`not-acceptable`"),
        (status = CONFLICT, body = Problem, content_type = "application/problem+json", description = "`evaluation-not-done`"),
        (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json", description = "`invalid-request`, `unusable-dataset`: it is another by now"),
        (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json", description = "`storage-unavailable`"),
        (status = INTERNAL_SERVER_ERROR, body = Problem, content_type = "application/problem+json", description = "`internal-error`"),
        (status = GATEWAY_TIMEOUT, body = Problem, content_type = "application/problem+json", description = "`timeout`"),
    ))]
pub async fn result(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    parts: Result<Query<Parts>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Path(id) = id.map_err(|_| ApiError::NotFound)?;
    let Query(parts) = parts.map_err(|error| ApiError::invalid("query", error.body_text()))?;
    let media = ResultType::new(&headers)?;
    let body = pipeline::result(&app, &id, media, parts.predictions).await?;
    Ok(([(CONTENT_TYPE, media.name())], body).into_response())
}

/// Get the report of an evaluation that is done: one HTML page with tables, plots and the best and worst pairs drawn.
#[utoipa::path(get, path = "/eval/{id}/report", tag = "evaluation", params(("id" = String, Path, description = "The evaluation's id")), responses(
    (status = OK, body = String, content_type = "text/html"),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json", description = "`unknown-evaluation`, `unknown-dataset`: it is not registered any more"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json", description = "`evaluation-not-done`"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json", description = "`unusable-dataset`: it is another by now"),
    (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json", description = "`storage-unavailable`"),
    (status = INTERNAL_SERVER_ERROR, body = Problem, content_type = "application/problem+json", description = "`internal-error`"),
    (status = GATEWAY_TIMEOUT, body = Problem, content_type = "application/problem+json", description = "`timeout`"),
))]
pub async fn report(State(app): State<App>, id: Result<Path<String>, PathRejection>) -> Result<Response, ApiError> {
    let Path(id) = id.map_err(|_| ApiError::NotFound)?;
    let page = pipeline::report(&app, &id).await?;
    Ok(([(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response())
}
