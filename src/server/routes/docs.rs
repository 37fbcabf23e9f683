//! The specification at `/openapi.json` and a page to try it at `/docs`, whose files are in the binary.

use axum::Router;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::app::App;

/// Both pages.
pub fn pages(specification: utoipa::openapi::OpenApi) -> Router<App> {
    // without this a page on a public host sends the specification's address to swagger.io
    let config = Config::default().validator_url("none");
    Router::from(SwaggerUi::new("/docs").config(config).url("/openapi.json", specification))
}
