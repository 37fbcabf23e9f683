//! What a request may take: time, bytes, and a place.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::{Request, State};
use axum::http::HeaderName;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::Instrument;

use crate::app::App;
use crate::error::ApiError;

use super::trace;

/// The header with the milliseconds that a caller waits at most.
pub const TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout-ms");

/// When a request's time is over, and how long it was.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// The instant.
    pub at: Instant,
    /// From the head of the request to it.
    pub limit: Duration,
}

tokio::task_local! {
    static DEADLINE: Deadline;
}

/// When the time of the request is over that is being answered by this task; none where nobody set a bound.
pub fn deadline_of_task() -> Option<Deadline> {
    DEADLINE.try_with(|deadline| *deadline).ok()
}

/// A part of the work of the request that is being answered by this task, for a task of its own: in the request's span, under its id, and
/// within its time, though it gives up by itself.
pub fn part<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let (deadline, work) = (deadline_of_task(), trace::under_id(work.in_current_span()));
    async move {
        match deadline {
            Some(deadline) => DEADLINE.scope(deadline, work).await,
            None => work.await,
        }
    }
}

/// The memory that a request's body takes of what all may take; given back with the last clone.
#[derive(Clone, Default)]
pub struct Reservation(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Reservation {
    /// Takes more; false if there is no more.
    fn grow(&self, memory: &Arc<Semaphore>, bytes: usize) -> bool {
        let Ok(bytes) = u32::try_from(bytes) else { return false };
        let Ok(more) = Arc::clone(memory).try_acquire_many_owned(bytes) else { return false };
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match held.as_mut() {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        true
    }
}

/// Refuses before the body is read when all places are taken; around routes that take images. A place is taken only when the body is
/// there (`request::Admitted`): a caller that sends slowly holds none.
pub async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.has_place() {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Drops the handler when its time is over, which takes its images out of the queue.
pub async fn deadline(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let longest = app.config().request_timeout();
    let asked = request.headers().get(&TIMEOUT).map(|value| {
        let text = value.to_str().ok().map(str::trim).and_then(|text| text.parse::<u64>().ok());
        text.filter(|ms| *ms > 0).map(Duration::from_millis)
    });
    let limit = match asked {
        None => longest,
        Some(Some(limit)) => limit.min(longest),
        Some(None) => {
            let detail = "a whole number of milliseconds above 0 is wanted";
            return ApiError::malformed(Some(TIMEOUT.as_str()), detail).into_response();
        }
    };
    let deadline = Deadline { at: Instant::now() + limit, limit };
    request.extensions_mut().insert(deadline);
    let answer = DEADLINE.scope(deadline, next.run(request));
    match tokio::time::timeout_at(deadline.at, answer).await {
        Ok(response) => response,
        Err(_) => ApiError::Timeout { limit }.into_response(),
    }
}

/// Refuses a body by the length it announces, before any of it is kept.
pub async fn announced_length(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = app.config().max_body_bytes;
    let length = request.body().size_hint().lower();
    if length <= limit as u64 {
        return next.run(request).await;
    }
    ApiError::BodyTooLarge { limit }.into_response()
}

/// Ends a body of which nothing comes for too long, or for which there is no more memory; whatever the handler makes of that, the answer
/// says so.
pub async fn body(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let silence = Duration::from_secs(app.config().body_timeout_s);
    let fault = Arc::new(OnceLock::new());
    let (mut head, body) = request.into_parts();
    let reservation = Reservation::default();
    head.extensions.insert(reservation.clone());
    let incoming = Incoming { chunks: body.into_data_stream(), app, silence, reservation, fault: Arc::clone(&fault) };
    let body = Body::from_stream(futures::stream::unfold(Some(incoming), Incoming::next));
    let response = next.run(Request::from_parts(head, body)).await;
    match fault.get() {
        None => response,
        Some(Fault::Silence) => ApiError::SlowBody { silence }.into_response(),
        Some(Fault::Memory { limit }) => ApiError::BodyMemory { limit: *limit }.into_response(),
    }
}

/// Why a body was ended.
enum Fault {
    Silence,
    Memory { limit: u64 },
}

/// A body on its way.
struct Incoming {
    chunks: BodyDataStream,
    app: App,
    silence: Duration,
    reservation: Reservation,
    fault: Arc<OnceLock<Fault>>,
}

impl Incoming {
    async fn next(incoming: Option<Incoming>) -> Option<(Result<Bytes, BoxError>, Option<Incoming>)> {
        let mut incoming = incoming?;
        let chunk = match tokio::time::timeout(incoming.silence, incoming.chunks.next()).await {
            Ok(chunk) => chunk?,
            Err(late) => {
                // set once: the stream ends with it
                let _ = incoming.fault.set(Fault::Silence);
                return Some((Err(late.into()), None));
            }
        };
        if let Ok(chunk) = &chunk
            && !incoming.reservation.grow(incoming.app.body_memory(), chunk.len())
        {
            let limit = incoming.app.config().body_memory_mib << 20;
            let _ = incoming.fault.set(Fault::Memory { limit });
            return Some((Err("there is no more memory for it".into()), None));
        }
        Some((chunk.map_err(Into::into), Some(incoming)))
    }
}
