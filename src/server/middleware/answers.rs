//! Answers that wait to be read: counted, as bodies are.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use crate::app::App;
use crate::error::ApiError;

/// Answers up to this length are not counted, and of others this much goes to a connection at a time: what connections hold is bounded by
/// how many there are.
const PIECE: usize = 64 << 10;

/// Refuses an answer for which there is no memory left. One whose length is not known is made piece by piece, and counted by who makes it.
pub async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let length = response.body().size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let Some(length) = length.filter(|length| *length > PIECE) else { return response };
    let permits = app.answer_permits(length);
    let Ok(memory) = Arc::clone(app.answer_memory()).try_acquire_many_owned(permits) else {
        let limit = app.config().answer_memory_mib << 20;
        return ApiError::AnswerMemory { limit }.into_response();
    };
    let (head, body) = response.into_parts();
    match axum::body::to_bytes(body, length).await {
        Ok(rest) => Response::from_parts(head, Body::new(Counted { rest, _memory: memory })),
        Err(error) => ApiError::Internal(error.to_string()).into_response(),
    }
}

/// An answer that gives its memory back when its last piece is taken.
struct Counted {
    rest: Bytes,
    _memory: OwnedSemaphorePermit,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.rest.len().min(PIECE);
        Poll::Ready((length > 0).then(|| Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
