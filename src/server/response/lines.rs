//! An answer that is sent line by line, as its parts are ready.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::MatchLine;
use crate::app::App;
use crate::error::ApiError;
use crate::middleware::{self, Deadline};

/// How long a line waits that finds no memory, before it looks again.
const AGAIN: Duration = Duration::from_millis(20);

/// A body of the lines, and the one that says that they are all; what is not there by the deadline is given up, and the last line says so.
/// The lines are made whether they are read or not, so that a reader who stops holds up no one: `held` is held until all are made. They are
/// given up when the body is dropped.
///
/// What waits to be read takes of the memory that answers have; where there is none left, the next line waits for it.
pub fn body<T: Send + 'static>(
    lines: impl Stream<Item = MatchLine> + Send + 'static,
    deadline: Option<Deadline>,
    app: App,
    held: T,
) -> Body {
    let (sender, written) = mpsc::unbounded_channel();
    let make = async move {
        let _held = held;
        let mut lines = std::pin::pin!(lines);
        loop {
            let next = async {
                let next = lines.next().await;
                let last = next.is_none();
                let text = text(&next.unwrap_or(MatchLine::End { done: true }))?;
                let permits = app.answer_permits(text.len());
                // not in the semaphore's own line: who waits there keeps what there is from those who want less
                let memory = loop {
                    match Arc::clone(app.answer_memory()).try_acquire_many_owned(permits) {
                        Ok(memory) => break memory,
                        Err(_) => tokio::time::sleep(AGAIN).await,
                    }
                };
                Some((middleware::counted(text, memory), last))
            };
            let next = match deadline {
                Some(Deadline { at, .. }) => tokio::time::timeout_at(at, next).await,
                None => Ok(next.await),
            };
            let late = |Deadline { limit, .. }| {
                let problem = ApiError::Timeout { limit }.problem();
                Some((text(&MatchLine::Problem { target: None, problem })?, true))
            };
            let Some((text, last)) = next.unwrap_or_else(|_| deadline.and_then(late)) else { return };
            if sender.send(text).is_err() || last {
                return;
            }
        }
    };
    let mut making = JoinSet::new();
    making.spawn(middleware::part(make));
    Body::from_stream(stream::unfold((written, making), |(mut written, making)| async {
        let line = written.recv().await?;
        Some((Ok::<_, Infallible>(line), (written, making)))
    }))
}

/// Plain data: what cannot be written as JSON does not occur.
fn text(line: &MatchLine) -> Option<Bytes> {
    let mut text = serde_json::to_vec(line).ok()?;
    text.push(b'\n');
    Some(text.into())
}
