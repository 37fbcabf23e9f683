//! `GET /eval/{id}/events`: progress as it is made.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use futures::stream;
use homolog_jobs::State as JobState;
use utoipa::ToSchema;

use super::eval::look;
use crate::app::App;
use crate::error::{ApiError, Kind, Problem};
use crate::response::EvalResponse;

/// One event of the stream; here for the specification only.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct ProgressEvent {
    /// The evaluation's state.
    event: JobState,
    /// The evaluation as JSON: an `EvalResponse`.
    #[schema(content_media_type = "application/json")]
    data: String,
}

/// How often the store is asked.
const LOOK: Duration = Duration::from_millis(500);

/// Follow an evaluation by server-sent events.
///
/// Each event is called as the evaluation's state (`waiting`, `running`, `done`, `failed`, `cancelled`) and holds the evaluation as
/// `GET /eval/{id}` gives it. The first comes at once, others when something has changed, and the stream ends with the evaluation.
#[utoipa::path(get, path = "/eval/{id}/events", tag = "evaluation", params(("id" = String, Path, description = "The evaluation's id")), responses(
    (status = OK, body = ProgressEvent, content_type = "text/event-stream"),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json", description = "`unknown-evaluation`"),
    (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json", description = "`storage-unavailable`"),
))]
pub async fn events(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let Path(id) = id.map_err(|_| ApiError::NotFound)?;
    let first = look(&app, &id).await?;
    let follow = Follow { app, id, next: Some(first), last: String::new(), ended: false };
    let events = stream::unfold(follow, |mut follow| async move {
        let event = follow.event().await?;
        Some((Ok(event), follow))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// An evaluation that is followed.
struct Follow {
    app: App,
    id: String,
    /// What is known and not yet sent.
    next: Option<EvalResponse>,
    /// What was sent last.
    last: String,
    /// Whether its end was told.
    ended: bool,
}

impl Follow {
    /// The next event, when there is something to tell. None when the evaluation has ended, is gone, or the service stops.
    async fn event(&mut self) -> Option<Event> {
        while !self.ended {
            let Some(now) = self.next.take() else {
                tokio::time::sleep(LOOK).await;
                if self.app.is_stopping() {
                    return None;
                }
                match look(&self.app, &self.id).await {
                    Ok(now) => self.next = Some(now),
                    Err(error) if error.kind() == Kind::UnknownEvaluation => return None,
                    // a store that is troubled comes back
                    Err(_) => {}
                }
                continue;
            };
            self.ended = now.state.is_final();
            let json = serde_json::to_string(&now).ok()?;
            if json != self.last {
                let event = Event::default().event(now.state.name()).data(&json);
                self.last = json;
                return Some(event);
            }
        }
        None
    }
}
