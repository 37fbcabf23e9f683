//! An answer that is sent line by line, as its parts are ready.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};

use super::MatchLine;
use crate::error::ApiError;
use crate::middleware::Deadline;

/// The lines as they are sent, and the one that says that they are all; `held` is held until then. What is not there by the deadline is
/// given up, and the last line says so.
pub fn write<T: Send>(
    lines: impl Stream<Item = MatchLine> + Send,
    deadline: Option<Deadline>,
    held: T,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let open = Some((Box::pin(lines), held));
    stream::unfold(open, move |open| async move {
        let (mut lines, held) = open?;
        let next = match deadline {
            Some(Deadline { at, limit }) => {
                tokio::time::timeout_at(at, lines.next()).await.map_err(|_| ApiError::Timeout { limit })
            }
            None => Ok(lines.next().await),
        };
        let (line, open) = match next {
            Ok(Some(line)) => (line, Some((lines, held))),
            Ok(None) => (MatchLine::End { done: true }, None),
            Err(late) => (MatchLine::Problem { target: None, problem: late.problem() }, None),
        };
        // plain data: what cannot be written as JSON does not occur
        let mut text = serde_json::to_vec(&line).ok()?;
        text.push(b'\n');
        Some((Ok(text.into()), open))
    })
}
