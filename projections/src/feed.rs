//! Where a subscription reads: the local log, or, once services stand apart, another service's
//! stream. Both give where an event is and what stood before it, so a gap can't pass unseen.

use async_trait::async_trait;
use gdmarket_store::{Identity, RecordedEvent, Store, StoreError};
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

/// The feed of the local log.
#[derive(Debug, Clone)]
pub(crate) struct LocalFeed(pub(crate) Store);

#[async_trait]
impl Feed for LocalFeed {
    fn source(&self) -> Identity {
        *self.0.identity()
    }

    async fn read_after(&self, position: i64, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let events = self.0.tail().read_after(position, limit).await?;
        let mut previous = position;
        let chain = |event: Arc<RecordedEvent>| {
            let before = std::mem::replace(&mut previous, event.position);
            Delivery { previous: before, event }
        };
        Ok(events.into_iter().map(chain).collect())
    }

    async fn at(&self, position: i64) -> Result<Option<Arc<RecordedEvent>>, StoreError> {
        // From the log itself: a row that was repaired is another one than the tail remembers.
        Ok(self.0.log().at(position).await?.map(Arc::new))
    }

    async fn head(&self) -> Result<i64, StoreError> {
        self.0.tail().sure_head().await
    }

    fn known_head(&self) -> i64 {
        *self.0.tail().head().borrow()
    }

    async fn wait_past(&self, position: i64, until: Instant) {
        self.0.tail().wait_past(position, until).await;
    }
}
