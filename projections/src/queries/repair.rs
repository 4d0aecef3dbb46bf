//! Rows of a view that can't be read: a query folds them from their stream, and requests a repair by the
//! view's loop. Such a row must fail neither its collection nor the rest of the view.

use super::Answer;
use super::QueryError;
use crate::engine::feed::{FeedError, Feeds};
use crate::engine::projector::{Folded, fold};
use crate::engine::view::View;
use crate::engine::view_table::{FoundRows, StaleMark, Stored, ViewTable};
use gdmarket_store::{
    LogLimit, Parked, ParkedKeys, RecordedEvent, Store, StoreError, StreamId, SubscriptionId,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a query waits for another service that has the stream of a damaged row.
const OTHER_LOG_WAIT: Duration = Duration::from_secs(1);

/// What rows are read from: the database of the views, and the logs that feed them.
#[derive(Clone, Copy)]
pub(super) struct ViewReader<'a> {
    pub(super) store: &'a Store,
    pub(super) feeds: &'a Feeds,
}

/// The stream of a row, and the loop that keeps the row.
struct RowStream {
    /// The service whose log has the stream; `None` for the own log.
    source: Option<&'static str>,
    events: Vec<Arc<RecordedEvent>>,
    /// Why the stream can't be read, if it can't.
    problem: Option<String>,
}

/// The rows of these streams by number; a row that can't be read is folded from its stream.
pub(super) async fn rows<V: View>(
    reader: ViewReader<'_>,
    table: &ViewTable<V>,
    numbers: &[i64],
) -> Answer<HashMap<i64, Stored<V::Row>>> {
    let FoundRows { mut rows, broken } = table.look_up(reader.store.views(), numbers).await?;
    for (number, why) in broken {
        let rebuilt = rebuilt::<V>(reader, number, why).await?;
        rows.extend(rebuilt.map(|row| (number, row)));
    }
    Ok(rows)
}

static BROKEN: LogLimit = LogLimit::new(5, Duration::from_mins(1));

/// A row, folded from its stream; `None` if there is no such stream. The row of a stream that can't be read now is empty
/// and stale.
pub(super) async fn rebuilt<V: View>(
    reader: ViewReader<'_>,
    number: i64,
    why: String,
) -> Answer<Option<Stored<V::Row>>> {
    if let Some(left_out) = BROKEN.admit(V::NAME) {
        let view = V::subscription();
        tracing::error!(view, number, why, left_out, "a row of a view is damaged and is rebuilt");
    }
    let stream = StreamId::new(V::AGGREGATE, number);
    let RowStream { source, events, problem } = row_stream(reader, &stream).await?;
    let mut row = Stored::new(number);
    if let Some(reason) = problem {
        let since = reader.store.log().now().await?;
        row.stale = Some(StaleMark { since, reason });
    }
    for event in &events {
        match fold::<V>(&mut row, event.as_event_ref()) {
            Folded::Taken | Folded::Old => {}
            Folded::Newer(what) => return Err(QueryError::Newer(what)),
            Folded::Poison(reason) => {
                row.stale = Some(StaleMark { since: event.recorded_at, reason });
                break;
            }
        }
    }
    let parked = Parked {
        key: stream.to_string(),
        state: Parked::RETRYING.to_owned(),
        reason: why,
        since_position: events.first().map_or(0, |event| event.position),
        since_time: events.first().map_or(0, |event| event.recorded_at),
        attempts: 0,
    };
    let keeper = SubscriptionId::new(&V::subscription(), source).to_string();
    if let Err(error) = request_repair(reader.store, &keeper, &parked).await {
        // The answer doesn't depend on it, and the next query requests it again.
        tracing::debug!(keeper, number, %error, "the repair of a row isn't requested");
    }
    Ok((row.sequence > 0 || row.stale.is_some()).then_some(row))
}

/// The stream from the log that has it. Another service is waited for only shortly, since its log is read through.
async fn row_stream(reader: ViewReader<'_>, stream: &StreamId) -> Answer<RowStream> {
    let sources = reader.feeds.with(&[&stream.kind]);
    let own = || async {
        let events = reader.store.log().stream(stream, 0).await?;
        let events = events.into_iter().map(Arc::new).collect();
        Ok(RowStream { source: None, events, problem: None })
    };
    // A tool that knows no feeds of other services reads the own log.
    let Some(first) = sources.first().filter(|first| first.name.is_some()) else {
        return own().await;
    };
    let mut found = RowStream { source: first.name, events: vec![], problem: None };
    for of in &sources {
        match timeout(OTHER_LOG_WAIT, of.feed.stream(stream, 0, i64::MAX)).await {
            Ok(Ok(events)) if events.is_empty() => {}
            Ok(Ok(events)) => return Ok(RowStream { source: of.name, events, problem: None }),
            Ok(Err(FeedError::Store(error))) => return Err(error.into()),
            Ok(Err(error)) => found.problem = Some(error.to_string()),
            Err(_) => {
                let source = of.name.unwrap_or_default();
                found.problem = Some(format!("the log of {source} isn't read through yet"));
            }
        }
    }
    Ok(found)
}

async fn request_repair(store: &Store, view: &str, parked: &Parked) -> Result<(), StoreError> {
    let known = ParkedKeys::new(store.views().clone()).find(view, &parked.key).await?;
    if known.is_some() {
        return Ok(());
    }
    let mut tx = store.views().begin().await?;
    ParkedKeys::park(&mut tx, view, parked, Duration::ZERO).await?;
    tx.commit().await
}
