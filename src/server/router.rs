//! All routes, and the specification that cannot part from them.

mod specification;

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::config::Config;
use crate::error::ApiError;
use crate::middleware;
use crate::response::Description;
use crate::routes::{describe, docs, eval, eval_events, eval_result, health, images, match_pair, metrics, models};

/// What the specification says beside its routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Homolog",
        description = "Semantic correspondence as a service: this point on this object, where is the same part in that picture?\n\n\
            Points are `[x, y]` in continuous pixels of the image as displayed (EXIF orientation applied): the origin is the \
            top-left corner, the first pixel's centre is [0.5, 0.5]. Every error is `application/problem+json` (RFC 9457) with a stable `type`.",
    ),
    // no body: it travels in a header
    components(schemas(Description)),
    tags(
        (name = "matching", description = "Points in, points out"),
        (name = "descriptors", description = "What is matched, to take along"),
        (name = "evaluation", description = "Benchmarks: PCK over many pairs"),
        (name = "models", description = "What is loaded"),
        (name = "operations", description = "For whoever runs the service"),
    )
)]
struct Specification;

/// Routes that take images, which are answered a bounded number at once.
fn with_images(app: &App) -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(match_pair::match_pair))
        .routes(routes!(describe::describe))
        .routes(routes!(eval::create))
        .routes(routes!(images::send))
        .layer(from_fn_with_state(app.clone(), middleware::admit))
}

fn routes(app: &App) -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Specification::openapi())
        .merge(with_images(app))
        .routes(routes!(eval::list))
        .routes(routes!(eval::show, eval::delete))
        .routes(routes!(eval_events::events))
        .routes(routes!(eval_result::result))
        .routes(routes!(eval_result::report))
        .routes(routes!(images::forget))
        .routes(routes!(models::list))
        .routes(routes!(models::show))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::show))
}

/// The whole service.
pub fn app(app: App) -> Router {
    let (router, specification) = routes(&app).split_for_parts();
    let specification = specification::complete(specification);
    let router = router
        .merge(docs::pages(specification))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .with_state(app.clone());
    middleware::stack(router, &app)
}

/// The specification of the service.
pub fn openapi() -> utoipa::openapi::OpenApi {
    // the specification does not depend on any setting
    specification::complete(routes(&App::new(Config::default())).into_openapi())
}
