//! `GET /metrics`.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::error::ApiError;
use crate::metrics::MEDIA_TYPE;

/// What the service counts of itself, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses(
    (status = OK, body = String, content_type = "application/openmetrics-text", description = "OpenMetrics text"),
))]
pub async fn show(State(app): State<App>) -> Result<Response, ApiError> {
    let text = app.metrics().text(&app).await.map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}
