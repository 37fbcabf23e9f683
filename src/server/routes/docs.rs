//! The specification at `/openapi.json` and a page to try it at `/docs`, whose files are in the binary.

use axum::Router;
use utoipa_swagger_ui::SwaggerUi;

use crate::app::App;

/// Both pages.
pub fn pages(specification: utoipa::openapi::OpenApi) -> Router<App> {
    Router::from(SwaggerUi::new("/docs").url("/openapi.json", specification))
}
