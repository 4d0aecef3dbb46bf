//! The source that a subscription reads from, and the decoding of its events.
//!
//! A feed is the local log or, where services are separate processes, the log of another service. Both
//! give the position of an event and the position of the event before it, so that a gap is noticed.

mod decoded;
mod feed_error;
mod local_feed;
mod log_source;
mod pages;

pub(crate) use decoded::{Origin, Unreadable, decode, decode_as};
pub use feed_error::FeedError;
pub(crate) use local_feed::LocalFeed;
pub use log_source::{Feeds, LogSource};

use async_trait::async_trait;
use futures::stream::BoxStream;
use gdmarket_store::{Identity, LogChunk, RecordedEvent, StreamId};
use std::sync::Arc;
use tokio::time::Instant;

/// An ordered stream of events that can be read from any position.
#[async_trait]
pub trait Feed: Send + Sync + 'static {
    /// Returns once [`Feed::source`] is known, which may need an answer of its owner. Every leadership term begins with it.
    async fn ready(&self) -> Result<(), FeedError> {
        Ok(())
    }

    /// The log that the positions belong to; the same for as long as the feed exists.
    fn source(&self) -> Identity;

    /// The first events after a position.
    async fn read_after(&self, position: i64, limit: u32) -> Result<Vec<Delivery>, FeedError>;

    /// The event at a position; `None` if the log has none there.
    async fn at(&self, position: i64) -> Result<Option<Arc<RecordedEvent>>, FeedError>;

    /// The position of the newest event, read from the log; 0 for an empty log.
    async fn head(&self) -> Result<i64, FeedError>;

    /// As [`Feed::head`], for a reader that has read up to `reached`. A feed whose log doesn't answer may return a
    /// position that it knows by other means, unless that is before `reached`: the reader takes it for a lost end.
    async fn head_for(&self, _reached: i64) -> Result<i64, FeedError> {
        self.head().await
    }

    /// The newest position that this process knows of.
    fn known_head(&self) -> i64;

    /// Returns when there is an event after `position`, or at `until`.
    async fn wait_past(&self, position: i64, until: Instant);

    /// All events of one aggregate type in a range, in order, for rebuilds. Without a faster way it reads the log
    /// page by page.
    fn scan(
        &self,
        aggregate: &'static str,
        range: ScanRange,
    ) -> BoxStream<'_, Result<LogChunk, FeedError>> {
        pages::scan(self, aggregate, range)
    }

    /// The events of one stream after a sequence, up to a position. Without an index of the streams it reads the log
    /// page by page.
    async fn stream(
        &self,
        stream: &StreamId,
        after_sequence: i64,
        until: i64,
    ) -> Result<Vec<Arc<RecordedEvent>>, FeedError> {
        pages::stream(self, stream, after_sequence, until).await
    }
}

/// The positions of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanRange {
    /// The position before the first event.
    pub after: i64,
    /// The highest position of an event.
    pub until: i64,
}

/// An event with the position of its predecessor in the log.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The position of the event before it.
    pub previous: i64,
    /// The event.
    pub event: Arc<RecordedEvent>,
}
