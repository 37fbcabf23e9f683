//! A request's id, its span, its line in the log and its place in the metrics.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::request_id::RequestId;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::app::App;
use crate::metrics::{CLIENT_LEFT, InProgress};

/// The header with a request's id, taken from the caller or made here, and always sent back.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static ID: String;
}

/// The id of the request that is being answered by this task.
pub fn request_id() -> Option<String> {
    ID.try_with(Clone::clone).ok().filter(|id| !id.is_empty())
}

/// Work for another task, under the id of this one's request.
pub fn under_id<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    ID.scope(request_id().unwrap_or_default(), work)
}

/// Gives the request its span, and its id to whatever runs in it; logs and counts the answer.
pub async fn trace(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>();
    let id = id.map(|id| String::from_utf8_lossy(id.header_value().as_bytes()).into_owned());
    let id = id.unwrap_or_default();
    // of paths that are none, one series and not one for each
    let route = request.extensions().get::<MatchedPath>().map_or("none", |path| path.as_str()).to_owned();
    let (method, path) = (request.method(), request.uri().path());
    let span = tracing::info_span!("request", %id, %method, path);
    if app.config().otlp_endpoint.is_some() {
        let headers = Headers(request.headers());
        let caller = opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(&headers));
        // a trace that cannot be gone on with begins here
        let _ = span.set_parent(caller);
    }
    let method = method.as_str().to_owned();
    let answer = async move {
        let in_progress = app.metrics().begin();
        let mut log = Log { app, method, route, open: Some((Instant::now(), in_progress)) };
        let response = next.run(request).await;
        log.answered(&response);
        response
    };
    ID.scope(id, answer.instrument(span)).await
}

/// One line for each request: how it was answered, or that nobody waited for the answer.
struct Log {
    app: App,
    method: String,
    route: String,
    open: Option<(Instant, InProgress)>,
}

impl Log {
    fn answered(&mut self, response: &Response) {
        let Some((start, _)) = self.open.take() else { return };
        let (status, took) = (response.status().as_u16(), start.elapsed());
        let timing = response.headers().get("server-timing").and_then(|value| value.to_str().ok());
        tracing::info!(status, ms = took.as_secs_f64() * 1e3, timing, "answered");
        self.app.metrics().answered(&self.method, &self.route, status, took);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some((start, _)) = self.open.take() {
            let took = start.elapsed();
            tracing::info!(ms = took.as_secs_f64() * 1e3, "the client left");
            self.app.metrics().answered(&self.method, &self.route, CLIENT_LEFT, took);
        }
    }
}

/// A request's headers as the propagator reads them (`traceparent`).
struct Headers<'a>(&'a HeaderMap);

impl opentelemetry::propagation::Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
