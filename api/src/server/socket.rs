//! A socket that notes what comes in and whether what goes out is taken, and that gives the answers of
//! hyper itself, to heads that it can't read, the headers of every answer.

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
    /// What is written instead of what hyper gives, and how much of that it stands for.
    instead: Bytes,
    stands_for: usize,
}

impl Socket {
    pub(super) const fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream, activity, instead: Bytes::new(), stands_for: 0 }
    }

    /// Whether something else is to be written than these bytes.
    fn is_replaced(&mut self, bytes: &[u8]) -> bool {
        if self.instead.is_empty()
            && !self.activity.is_answering()
            && let Some(instead) = with_headers_of_every_answer(bytes)
        {
            (self.instead, self.stands_for) = (instead, bytes.len());
        }
        !self.instead.is_empty()
    }

    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while !self.instead.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.instead))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                written => self.instead.advance(written),
            }
        }
        Poll::Ready(Ok(self.stands_for))
    }

    fn noted(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
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
            self.poll_instead(cx)
        } else {
            Pin::new(&mut self.stream).poll_write(cx, bytes)
        };
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = parts.iter().find(|part| !part.is_empty());
        let written = if first.is_some_and(|bytes| self.is_replaced(bytes)) {
            self.poll_instead(cx)
        } else {
            Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
        };
        self.noted(written)
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
