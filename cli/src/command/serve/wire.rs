//! A connection: refusals of broken heads have our headers, and a reader that stands still is given up.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::answer::Refusal;

/// Maximum time for which a reader takes nothing.
const MAX_STALL: Duration = Duration::from_secs(30);

/// The stream of a connection with one request.
pub(super) struct Wire<S> {
    stream: S,
    /// Whether the request reached the service: what is written is its answer.
    reached: Arc<AtomicBool>,
    has_written: bool,
    /// An answer in place of that of the protocol's library, while it is written.
    refusal: Option<(Vec<u8>, usize)>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Wire<S> {
    pub(super) const fn new(stream: S, reached: Arc<AtomicBool>) -> Self {
        Self { stream, reached, has_written: false, refusal: None, stalled: None }
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Writes to the stream; an error if it took nothing for long.
    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bound(cx, written)
    }

    fn bound<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(MAX_STALL)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn write_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((bytes, from)) = self.refusal.take() {
            let rest = bytes.get(from..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            match self.write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.refusal = Some((bytes, from + count)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.refusal = Some((bytes, from));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The refusal that the head of an answer by the library stands for.
fn refusal(head: &[u8]) -> Option<Refusal> {
    let status = head.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    let status = StatusCode::from_bytes(status).ok()?;
    let text = match status {
        StatusCode::URI_TOO_LONG => "the path is too long",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the head is too large",
        _ => "this is no request of HTTP/1.1",
    };
    status.is_client_error().then(|| Refusal::new(status, text))
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !std::mem::replace(&mut self.has_written, true) && !self.reached.load(Ordering::Relaxed)
        {
            self.refusal = refusal(bytes).map(|refusal| (refusal.raw(), 0));
            if self.refusal.is_some() {
                // Taken whole: nothing else of the library follows.
                return Poll::Ready(Ok(bytes.len()));
            }
        }
        ready!(self.write_refusal(cx))?;
        self.write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_refusal(cx))?;
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.bound(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_refusal(cx))?;
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.bound(cx, shut)
    }
}
