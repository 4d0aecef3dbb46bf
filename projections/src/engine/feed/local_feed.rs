//! The feed of the local log.

use super::{Delivery, Feed, FeedError, ScanRange};
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use gdmarket_store::{Identity, LogChunk, LogScan, RecordedEvent, Store, StreamId};
use std::sync::Arc;
use tokio::time::Instant;

/// The feed of the local log.
#[derive(Debug, Clone)]
pub(crate) struct LocalFeed(pub(crate) Store);

#[async_trait]
impl Feed for LocalFeed {
    fn source(&self) -> Identity {
        *self.0.identity()
    }

    async fn read_after(&self, position: i64, limit: u32) -> Result<Vec<Delivery>, FeedError> {
        let events = self.0.tail().read_after(position, limit).await?;
        let mut previous = position;
        let chain = |event: Arc<RecordedEvent>| {
            let before = std::mem::replace(&mut previous, event.position);
            Delivery { previous: before, event }
        };
        Ok(events.into_iter().map(chain).collect())
    }

    async fn at(&self, position: i64) -> Result<Option<Arc<RecordedEvent>>, FeedError> {
        // The tail may hold the row as it was before a repair.
        Ok(self.0.log().at(position).await?.map(Arc::new))
    }

    async fn head(&self) -> Result<i64, FeedError> {
        Ok(self.0.tail().sure_head().await?)
    }

    fn known_head(&self) -> i64 {
        *self.0.tail().head().borrow()
    }

    async fn wait_past(&self, position: i64, until: Instant) {
        self.0.tail().wait_past(position, until).await;
    }

    fn scan(
        &self,
        aggregate: &'static str,
        range: ScanRange,
    ) -> BoxStream<'_, Result<LogChunk, FeedError>> {
        let scan = self.0.log().scan(aggregate, range.after, range.until);
        let next = |mut scan: LogScan| async move {
            let chunk = scan.next().await?;
            Ok::<_, FeedError>(chunk.map(|chunk| (chunk, scan)))
        };
        stream::try_unfold(scan, next).boxed()
    }

    async fn stream(
        &self,
        stream: &StreamId,
        after_sequence: i64,
        until: i64,
    ) -> Result<Vec<Arc<RecordedEvent>>, FeedError> {
        let events = self.0.log().stream(stream, after_sequence).await?;
        Ok(events.into_iter().filter(|event| event.position <= until).map(Arc::new).collect())
    }
}
