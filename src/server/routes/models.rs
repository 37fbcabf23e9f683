//! What is loaded.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};

use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::response::{ModelCard, ModelList};

/// List the models.
#[utoipa::path(get, path = "/models", tag = "models", responses(
    (status = OK, body = ModelList),
    (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json", description = "The models are still being loaded"),
))]
pub async fn list(State(app): State<App>) -> Result<Json<ModelList>, ApiError> {
    Ok(Json(ModelList::new(&app)?))
}

/// Show a model's card: what it is, where it comes from, how it was measured.
#[utoipa::path(get, path = "/models/{id}", tag = "models", params(("id" = String, Path, description = "The model's id")), responses(
    (status = OK, body = ModelCard),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json", description = "The models are still being loaded"),
))]
pub async fn show(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<ModelCard>, ApiError> {
    // the only rejection is an id that is not UTF-8, and no model has such a one
    let Path(id) = id.map_err(|_| ApiError::NotFound)?;
    Ok(Json(ModelCard::new(&app, app.model(Some(&id))?)?))
}
