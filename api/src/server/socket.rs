//! A socket that records what arrives and whether the peer takes what is sent. It also adds the headers of
//! every answer to those that hyper itself sends to heads that it can't read.

use super::activity::Activity;
use super::refused_heads::with_headers_of_every_answer;
use bytes::{Buf as _, Bytes};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    activity: Arc<Activity>,
    /// The bytes to write in the place of hyper's.
    replacement: Bytes,
    /// How many of hyper's bytes they replace.
    replaced: usize,
}

impl Socket {
    pub(super) const fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream, activity, replacement: Bytes::new(), replaced: 0 }
    }

    /// Whether other bytes are written in the place of these.
    fn is_replaced(&mut self, bytes: &[u8]) -> bool {
        if self.replacement.is_empty()
            && !self.activity.is_answering()
            && let Some(replacement) = with_headers_of_every_answer(bytes)
        {
            (self.replacement, self.replaced) = (replacement, bytes.len());
        }
        !self.replacement.is_empty()
    }

    fn poll_replacement(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while !self.replacement.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.replacement))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                written => self.replacement.advance(written),
            }
        }
        Poll::Ready(Ok(self.replaced))
    }

    fn recorded(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => self.activity.has_written(Some(*bytes)),
            Poll::Pending => self.activity.has_written(None),
            Poll::Ready(Err(_)) => {}
        }
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.has_read();
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = if self.is_replaced(bytes) {
            self.poll_replacement(cx)
        } else {
            Pin::new(&mut self.stream).poll_write(cx, bytes)
        };
        self.recorded(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = parts.iter().find(|part| !part.is_empty());
        let written = if first.is_some_and(|bytes| self.is_replaced(bytes)) {
            self.poll_replacement(cx)
        } else {
            Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
        };
        self.recorded(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
