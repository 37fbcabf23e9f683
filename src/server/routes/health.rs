//! Whether the process lives, and whether it should be sent requests.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{ApiError, Problem};

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `live` or `ready`.
    status: &'static str,
}

/// Is the process alive?
///
/// Always 200: restart the service if this is not answered.
#[utoipa::path(get, path = "/health/live", tag = "operations", responses((status = OK, body = Health)))]
pub async fn live() -> Json<Health> {
    Json(Health { status: "live" })
}

/// Should requests be sent here?
///
/// 503 until the models are loaded and have run once.
#[utoipa::path(get, path = "/health/ready", tag = "operations", responses(
    (status = OK, body = Health),
    (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json"),
))]
pub async fn ready(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    app.ready()?;
    Ok(Json(Health { status: "ready" }))
}
