//! Where a subscription reads, and how what it reads is decoded.
//!
//! A feed is the local log or, once services are separate processes, another service's stream. Both
//! give the position of an event and the position of the event before it, so that a gap is noticed.

mod decoded;
mod local_feed;

pub(crate) use decoded::{Origin, Unreadable, decode, decode_as};
pub(crate) use local_feed::LocalFeed;

use async_trait::async_trait;
use gdmarket_store::{Identity, RecordedEvent, StoreError};
use std::sync::Arc;
use tokio::time::Instant;

/// An ordered stream of events that can be read from any position.
#[async_trait]
pub trait Feed: Send + Sync + 'static {
    /// Which log the positions are of.
    fn source(&self) -> Identity;

    /// The first events after a position.
    async fn read_after(&self, position: i64, limit: u32) -> Result<Vec<Delivery>, StoreError>;

    /// The event at a position; `None` if the log itself has none there.
    async fn at(&self, position: i64) -> Result<Option<Arc<RecordedEvent>>, StoreError>;

    /// The position of the newest event, 0 without any, as the log itself says.
    async fn head(&self) -> Result<i64, StoreError>;

    /// The newest position that this process has heard of.
    fn known_head(&self) -> i64;

    /// Comes back when there is something after `position`, or at `until`.
    async fn wait_past(&self, position: i64, until: Instant);
}

/// An event, and what stood before it in its log.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The position of the event before it.
    pub previous: i64,
    /// The event.
    pub event: Arc<RecordedEvent>,
}
