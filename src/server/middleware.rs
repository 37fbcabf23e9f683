//! What every request passes, from the outside in.

use std::any::Any;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveHeadersLayer;
use tracing::Instrument;

use crate::app::App;
use crate::error::ApiError;

/// The header with a request's id, taken from the caller or made here, and always sent back.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A caller that sends too long a body is listened to for as many bytes more and as long, so that it can hear the answer:
/// a connection that is closed while bytes arrive is reset, and the answer is lost with it.
const DRAIN_BYTES: u64 = 256 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

tokio::task_local! {
    static ID: String;
}

/// The id of the request that is being answered by this task.
pub fn request_id() -> Option<String> {
    ID.try_with(Clone::clone).ok()
}

/// Puts the whole stack round `router`.
pub fn stack(router: Router, app: &App) -> Router {
    router.layer(
        ServiceBuilder::new()
            // before anything is logged
            .layer(SetSensitiveHeadersLayer::new([header::AUTHORIZATION, header::COOKIE]))
            .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
            .layer(PropagateRequestIdLayer::new(REQUEST_ID))
            .layer(from_fn(trace))
            // inside the trace, so that a panic is logged with the request's id
            .layer(CatchPanicLayer::custom(panicked))
            .layer(from_fn(explained))
            .layer(from_fn_with_state(app.clone(), deadline))
            .layer(from_fn_with_state(app.clone(), announced_length))
            // for bodies that do not announce their length
            .layer(DefaultBodyLimit::max(app.config().max_body_bytes)),
    )
}

/// Gives the request its span, and its id to whatever runs in it; logs the answer.
async fn trace(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>();
    let id = id.map(|id| String::from_utf8_lossy(id.header_value().as_bytes()).into_owned());
    let id = id.unwrap_or_default();
    let (method, path) = (request.method(), request.uri().path());
    let span = tracing::info_span!("request", %id, %method, path);
    let answer = async move {
        let mut log = Log(Some(Instant::now()));
        let response = next.run(request).await;
        log.answered(&response);
        response
    };
    ID.scope(id, answer.instrument(span)).await
}

/// One line for each request: how it was answered, or that nobody waited for the answer.
struct Log(Option<Instant>);

impl Log {
    fn answered(&mut self, response: &Response) {
        let Some(start) = self.0.take() else { return };
        let (status, ms) = (response.status().as_u16(), start.elapsed().as_secs_f64() * 1e3);
        let timing = response.headers().get("server-timing").and_then(|value| value.to_str().ok());
        tracing::info!(status, ms, timing, "answered");
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(start) = self.0 {
            tracing::info!(ms = start.elapsed().as_secs_f64() * 1e3, "the client left");
        }
    }
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let cause = panic.downcast_ref::<String>().cloned();
    let cause = cause.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
    let cause = cause.unwrap_or_else(|| "a value that is no text".to_owned());
    ApiError::Internal(format!("panic: {cause}")).into_response()
}

/// Takes one of the bounded number of places before the body is read; around routes that take images.
pub async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.admit() {
        Ok(_place) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// A refusal without a word of ours, such as the documentation's own, becomes a problem like all others.
async fn explained(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let typed = response.headers().contains_key(header::CONTENT_TYPE);
    if response.status() == StatusCode::NOT_FOUND && !typed { ApiError::NotFound.into_response() } else { response }
}

/// Drops the handler when its time is over, which takes its images out of the queue.
async fn deadline(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = app.config().request_timeout();
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::Timeout { seconds: limit.as_secs() }.into_response(),
    }
}

/// Refuses a body by the length it announces, before any of it is kept.
async fn announced_length(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = app.config().max_body_bytes;
    let length = request.body().size_hint().lower();
    if length <= limit as u64 {
        return next.run(request).await;
    }
    if length <= DRAIN_BYTES {
        // whether it was all read or not, the answer is the same
        let _ = tokio::time::timeout(DRAIN_TIME, drain(request.into_body())).await;
    }
    ApiError::BodyTooLarge { limit }.into_response()
}

async fn drain(body: Body) {
    use futures::StreamExt;
    let mut chunks = body.into_data_stream();
    while let Some(Ok(_)) = chunks.next().await {}
}
