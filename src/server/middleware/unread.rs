//! What a caller still sends when its answer is ready.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt;
use hyper::body::{Frame, SizeHint};

/// What is read on at most.
const BYTES: u64 = 256 << 20;
/// How long at most; a stop waits for it.
const TIME: Duration = Duration::from_secs(20);
/// How long nothing may come before the rest is given up.
const SILENCE: Duration = Duration::from_secs(5);

/// Reads on what a caller that is refused still sends, and throws it away, while the answer goes: a connection that is closed while
/// bytes arrive is reset, and the answer is lost with it.
///
/// A caller that asked whether it may go on (`Expect: 100-continue`) and was not told so sends nothing, and one whose body stopped coming
/// (408) is not waited for.
pub async fn hear_out(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let left = Arc::new(Mutex::new(None));
    let asks = request.headers().contains_key(header::EXPECT);
    let lent = |body| Body::new(Lent { body, asks, left: Arc::clone(&left) });
    let response = next.run(request.map(lent)).await;
    let rest = left.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(rest) = rest
        && !response.status().is_success()
        && response.status() != StatusCode::REQUEST_TIMEOUT
    {
        // the connection is closed behind the answer when this lets go of the body
        tokio::spawn(tokio::time::timeout(TIME, discard(rest)));
    }
    response
}

async fn discard(body: Body) {
    let mut chunks = body.into_data_stream();
    let mut read = 0;
    while let Ok(Some(Ok(chunk))) = tokio::time::timeout(SILENCE, chunks.next()).await {
        read += chunk.len() as u64;
        if read > BYTES {
            break;
        }
    }
}

/// A body that leaves what was not read of it.
struct Lent {
    body: Body,
    /// Whether the caller waits until the first of it is asked for.
    asks: bool,
    left: Arc<Mutex<Option<Body>>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.asks = false;
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.asks && !self.body.is_end_stream() {
            let body = std::mem::take(&mut self.body);
            *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
