//! A connection whose reader must keep up.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Bytes a second that a reader takes at least, as long as there are some for it. Whoever takes less holds what an answer holds for as
/// long as it likes.
const PACE: f64 = 65_536.0;

/// A stream that fails with [`io::ErrorKind::TimedOut`] when it was kept waiting to write for a window of time in all, and of what it wrote
/// less than [`PACE`] was taken.
pub struct Paced<S> {
    stream: S,
    window: Duration,
    /// Bytes that were taken in this window.
    taken: usize,
    /// How long was waited in it, before what is waited for now.
    waited: Duration,
    /// Since when is waited, if it is.
    since: Option<Instant>,
    /// Ends with the window, if is waited until then.
    end: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    /// `stream`, looked at every `window`.
    pub fn new(stream: S, window: Duration) -> Paced<S> {
        Paced { stream, window, taken: 0, waited: Duration::ZERO, since: None, end: None }
    }

    /// Counts what a write came to.
    fn written(&mut self, context: &mut Context<'_>, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        if let Poll::Ready(wrote) = wrote {
            self.waited += self.since.take().map_or(Duration::ZERO, |since| now - since);
            self.taken = self.taken.saturating_add(*wrote.as_ref().unwrap_or(&0));
            return Poll::Ready(wrote);
        }
        let since = *self.since.get_or_insert(now);
        let mut left = self.window.saturating_sub(self.waited + (now - since));
        if left.is_zero() {
            if (self.taken as f64) < PACE * self.window.as_secs_f64() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            (self.taken, self.waited, self.since, left) = (0, Duration::ZERO, Some(now), self.window);
        }
        let end = self.end.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(now + left)));
        end.as_mut().reset(now + left);
        match end.as_mut().poll(context) {
            // it was over while this was written
            Poll::Ready(()) => self.written(context, Poll::Pending),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const WINDOW: Duration = Duration::from_secs(10);

    /// What becomes of an answer of 64 MB of which so many bytes are taken every so many seconds, and after how many seconds.
    async fn taken(bytes: usize, seconds: f64) -> (io::Result<()>, f64) {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let reader = tokio::spawn(async move {
            let mut piece = vec![0; bytes];
            while theirs.read_exact(&mut piece).await.is_ok() {
                tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            }
        });
        let (mut stream, begun) = (Paced::new(ours, WINDOW), Instant::now());
        let mut result = Ok(());
        for _ in 0..1000 {
            result = stream.write_all(&[0; 64_000]).await;
            if result.is_err() {
                break;
            }
            stream.flush().await.unwrap();
        }
        reader.abort();
        (result, begun.elapsed().as_secs_f64())
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_keeps_up_is_served_to_the_end() {
        for (bytes, seconds) in [(64_000, 0.0), (64_000, 0.5), (700_000, 9.0)] {
            let (result, took) = taken(bytes, seconds).await;
            assert!(result.is_ok(), "{bytes} every {seconds} s: {result:?} after {took} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_stops_or_trickles_is_given_up_within_two_windows() {
        for (bytes, seconds) in [(1, 3600.0), (1, 0.001), (64_000, 2.0), (200_000, 9.0)] {
            let (result, took) = taken(bytes, seconds).await;
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut, "{bytes} every {seconds} s");
            assert!((9.9..20.1).contains(&took), "{bytes} every {seconds} s: after {took} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_nothing_to_write_is_left_alone() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let mut stream = Paced::new(ours, WINDOW);
        for _ in 0..5 {
            stream.write_all(b"little").await.unwrap();
            stream.flush().await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
            theirs.read_exact(&mut [0; 6]).await.unwrap();
        }
    }
}
