//! An answer that is sent line by line, as its parts are ready.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::MatchLine;
use crate::error::ApiError;
use crate::middleware::Deadline;

/// A body of the lines, and the one that says that they are all; what is not there by the deadline is given up, and the last line says so.
/// The lines are made whether they are read or not, so that a reader who stops holds up no one: `held` is held until all are made. They are
/// given up when the body is dropped.
pub fn body<T: Send + 'static>(
    lines: impl Stream<Item = MatchLine> + Send + 'static,
    deadline: Option<Deadline>,
    held: T,
) -> Body {
    // no more than one request's answer: its places are bounded
    let (sender, written) = mpsc::unbounded_channel();
    let make = async move {
        let _held = held;
        let mut lines = std::pin::pin!(lines);
        loop {
            let next = match deadline {
                Some(Deadline { at, limit }) => {
                    tokio::time::timeout_at(at, lines.next()).await.map_err(|_| ApiError::Timeout { limit })
                }
                None => Ok(lines.next().await),
            };
            let (line, last) = match next {
                Ok(Some(line)) => (line, false),
                Ok(None) => (MatchLine::End { done: true }, true),
                Err(late) => (MatchLine::Problem { target: None, problem: late.problem() }, true),
            };
            // plain data: what cannot be written as JSON does not occur
            let Ok(mut text) = serde_json::to_vec(&line) else { return };
            text.push(b'\n');
            if sender.send(Bytes::from(text)).is_err() || last {
                return;
            }
        }
    };
    let mut making = JoinSet::new();
    making.spawn(make.in_current_span());
    Body::from_stream(stream::unfold((written, making), |(mut written, making)| async {
        let line = written.recv().await?;
        Some((Ok::<_, Infallible>(line), (written, making)))
    }))
}
