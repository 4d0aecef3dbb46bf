//! Reading a range of a feed page by page, for the feeds that have no faster way.

use super::{Delivery, Feed, FeedError, ScanRange};
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use gdmarket_store::{LogChunk, RecordedEvent, StreamId};
use std::sync::Arc;

/// Events per page.
const PAGE: u32 = 512;

/// The events of one aggregate type in a range.
pub(super) fn scan<'a, F: Feed + ?Sized>(
    feed: &'a F,
    aggregate: &'static str,
    range: ScanRange,
) -> BoxStream<'a, Result<LogChunk, FeedError>> {
    let chunk = move |page: Vec<Delivery>| {
        let events = page.iter().map(|delivery| delivery.event.as_event_ref());
        LogChunk::of(aggregate, events.filter(|event| event.kind == aggregate))
    };
    pages(feed, range).map_ok(chunk).boxed()
}

/// The events of one stream after a sequence, up to a position.
pub(super) async fn stream<F: Feed + ?Sized>(
    feed: &F,
    stream: &StreamId,
    after_sequence: i64,
    until: i64,
) -> Result<Vec<Arc<RecordedEvent>>, FeedError> {
    let is_its = |event: &RecordedEvent| {
        event.stream == *stream && event.has_stream() && event.sequence > after_sequence
    };
    let mut found = vec![];
    let mut pages = std::pin::pin!(pages(feed, ScanRange { after: 0, until }));
    while let Some(page) = pages.try_next().await? {
        found.extend(page.into_iter().map(|delivery| delivery.event).filter(|event| is_its(event)));
    }
    Ok(found)
}

fn pages<F: Feed + ?Sized>(
    feed: &F,
    range: ScanRange,
) -> impl Stream<Item = Result<Vec<Delivery>, FeedError>> + Send + '_ {
    stream::try_unfold(range.after, move |reached| async move {
        if reached >= range.until {
            return Ok(None);
        }
        let mut page = feed.read_after(reached, PAGE).await?;
        page.retain(|delivery| (reached + 1..=range.until).contains(&delivery.event.position));
        let mut last = reached;
        for Delivery { previous, event } in &page {
            if *previous > last {
                let gap = format!("after {last} came an event that follows {previous}");
                return Err(FeedError::Refused(gap));
            }
            last = event.position;
        }
        Ok((!page.is_empty()).then_some((page, last)))
    })
}
