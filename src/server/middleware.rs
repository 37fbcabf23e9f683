//! What every request passes, from the outside in.

mod answers;
mod limits;
mod trace;
mod unread;

use std::any::Any;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveHeadersLayer;

use crate::app::App;
use crate::error::ApiError;
pub use answers::counted;
pub use limits::{Deadline, Reservation, TIMEOUT, admit, deadline_of_task, part};
pub use trace::{REQUEST_ID, request_id};

/// Puts the whole stack round `router`.
pub fn stack(router: Router, app: &App) -> Router {
    router.layer(
        ServiceBuilder::new()
            // outside the trace: a request is over when its answer is made
            .layer(from_fn(unread::hear_out))
            // before anything is logged
            .layer(SetSensitiveHeadersLayer::new([header::AUTHORIZATION, header::COOKIE]))
            .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
            .layer(PropagateRequestIdLayer::new(REQUEST_ID))
            .layer(from_fn_with_state(app.clone(), trace::trace))
            // inside the trace, so that a panic is logged with the request's id
            .layer(CatchPanicLayer::custom(panicked))
            .layer(from_fn(explained))
            .layer(from_fn(careful))
            // before keys: a browser asks without one whether it may ask
            .option_layer(cors(app))
            .layer(from_fn_with_state(app.clone(), keys))
            .layer(from_fn_with_state(app.clone(), limits::deadline))
            .layer(from_fn_with_state(app.clone(), limits::announced_length))
            .layer(from_fn_with_state(app.clone(), limits::body))
            .layer(from_fn_with_state(app.clone(), answers::count))
            // for bodies that do not announce their length
            .layer(DefaultBodyLimit::max(app.config().max_body_bytes)),
    )
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let cause = panic.downcast_ref::<String>().cloned();
    let cause = cause.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
    let cause = cause.unwrap_or_else(|| "a value that is no text".to_owned());
    ApiError::Internal(format!("panic: {cause}")).into_response()
}

/// A refusal without a word of ours, such as the documentation's own, becomes a problem like all others.
async fn explained(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let typed = response.headers().contains_key(header::CONTENT_TYPE);
    if response.status() == StatusCode::NOT_FOUND && !typed { ApiError::NotFound.into_response() } else { response }
}

/// Pages load and run nothing but their own, and stand in no one's frame; nothing is taken for another type than it says.
const POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// Headers that make browsers careful.
async fn careful(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let page = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if page {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    response
}

/// Scripts of the pages that were named may ask and read; without any there is no layer.
fn cors(app: &App) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = app.config().cors_origins.iter().map(|origin| origin.header().clone()).collect();
    if origins.is_empty() {
        return None;
    }
    let idempotency = HeaderName::from_static("idempotency-key");
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([axum::http::Method::GET, axum::http::Method::POST, axum::http::Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT, REQUEST_ID, TIMEOUT, idempotency])
        .expose_headers([
            REQUEST_ID,
            header::LOCATION,
            header::RETRY_AFTER,
            HeaderName::from_static("server-timing"),
            HeaderName::from_static("x-homolog-describe"),
        ]);
    Some(layer)
}

/// What is asked for without a key: probes, counts and the documentation.
pub fn is_open(path: &str) -> bool {
    path.starts_with("/health/") || matches!(path, "/metrics" | "/openapi.json" | "/docs") || path.starts_with("/docs/")
}

/// Asks for a key where keys were configured.
async fn keys(State(app): State<App>, request: Request, next: Next) -> Response {
    if is_open(request.uri().path()) {
        return next.run(request).await;
    }
    match app.access().admit(request.headers()) {
        Ok(key) => {
            if let Some(key) = key {
                tracing::debug!(key, "admitted");
            }
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}
