//! The body of an answer on its way out: it belongs to its request until its last byte is taken.

use super::activity::Answering;
use super::streams::Stream;
use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The most bytes that are handed over at once on HTTP/2, where they wait inside the connection until
/// the peer makes room for them.
const PIECE: usize = 16 * 1024;

type NextFrame = Option<Result<Frame<Bytes>, axum::Error>>;

#[derive(Debug)]
pub(super) struct AnswerBody {
    body: Body,
    rest: Bytes,
    /// `None` on HTTP/1.1.
    stream: Option<Arc<Stream>>,
    answering: Answering,
}

impl AnswerBody {
    pub(super) const fn new(body: Body, answering: Answering, stream: Option<Arc<Stream>>) -> Self {
        Self { body, rest: Bytes::new(), stream, answering }
    }

    fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<NextFrame> {
        if self.rest.is_empty() {
            Pin::new(&mut self.body).poll_frame(cx)
        } else {
            Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest)))))
        }
    }

    /// The first piece of a frame; the rest is kept.
    fn piece(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_data() {
            Ok(mut data) if self.stream.is_some() && data.len() > PIECE => {
                self.rest = data.split_off(PIECE);
                Frame::data(data)
            }
            Ok(data) => Frame::data(data),
            Err(frame) => frame,
        }
    }
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<NextFrame> {
        let next = self.poll_whole(cx);
        let next = next.map(|next| next.map(|frame| frame.map(|frame| self.piece(frame))));
        let offered = match &next {
            Poll::Ready(Some(Ok(frame))) => Some(frame.data_ref().map_or(0, Bytes::len)),
            Poll::Ready(_) | Poll::Pending => None,
        };
        self.answering.offer(offered.is_some());
        if let Some(stream) = &self.stream {
            stream.offer(offered);
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.body.size_hint();
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(inner.lower().saturating_add(rest));
        hint
    }
}
