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
    // what everyone may ask for is short, or the binary's own
    let open = super::is_open(request.uri().path());
    let response = next.run(request).await;
    if open {
        return response;
    }
    let length = response.body().size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let Some(length) = length.filter(|length| *length > PIECE) else { return response };
    let permits = app.answer_permits(length);
    let Ok(memory) = Arc::clone(app.answer_memory()).try_acquire_many_owned(permits) else {
        let limit = app.config().answer_memory_mib << 20;
        return ApiError::AnswerMemory { limit }.into_response();
    };
    let (head, body) = response.into_parts();
    match axum::body::to_bytes(body, length).await {
        Ok(rest) => Response::from_parts(head, Body::new(Pieces(counted(rest, memory)))),
        Err(error) => ApiError::Internal(error.to_string()).into_response(),
    }
}

/// The same bytes; when the last of them are written, or given up, the memory is given back.
pub fn counted(bytes: Bytes, memory: OwnedSemaphorePermit) -> Bytes {
    struct Counted {
        bytes: Bytes,
        _memory: OwnedSemaphorePermit,
    }
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }
    Bytes::from_owner(Counted { bytes, _memory: memory })
}

/// An answer that goes to its connection piece by piece.
struct Pieces(Bytes);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.0.len().min(PIECE);
        Poll::Ready((length > 0).then(|| Ok(Frame::data(self.0.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}
