//! Rows of a view that can't be read: a query folds them from their stream, and requests a repair by the
//! view's loop. Such a row must fail neither its collection nor the rest of the view.

use super::Answer;
use super::QueryError;
use crate::engine::projector::{Folded, fold};
use crate::engine::view::View;
use crate::engine::view_table::{FoundRows, StaleMark, Stored, ViewTable};
use gdmarket_store::{LogLimit, Parked, ParkedKeys, Store, StoreError, StreamId};
use std::collections::HashMap;
use std::time::Duration;

/// The rows of these streams by number; a row that can't be read is folded from its stream.
pub(super) async fn rows<V: View>(
    store: &Store,
    table: &ViewTable<V>,
    numbers: &[i64],
) -> Answer<HashMap<i64, Stored<V::Row>>> {
    let FoundRows { mut rows, broken } = table.look_up(store.views(), numbers).await?;
    for (number, why) in broken {
        let rebuilt = rebuilt::<V>(store, number, why).await?;
        rows.extend(rebuilt.map(|row| (number, row)));
    }
    Ok(rows)
}

static BROKEN: LogLimit = LogLimit::new(5, Duration::from_mins(1));

/// A row, folded from its stream; `None` if there is no such stream.
pub(super) async fn rebuilt<V: View>(
    store: &Store,
    number: i64,
    why: String,
) -> Answer<Option<Stored<V::Row>>> {
    let view = V::subscription();
    if let Some(left_out) = BROKEN.admit(V::NAME) {
        tracing::error!(view, number, why, left_out, "a row of a view is damaged and is rebuilt");
    }
    let stream = StreamId::new(V::AGGREGATE, number);
    let events = store.log().stream(&stream, 0).await?;
    let mut row = Stored::new(number);
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
    if let Err(error) = request_repair(store, &view, &parked).await {
        // The answer doesn't depend on it, and the next query requests it again.
        tracing::debug!(view, number, %error, "the repair of a row isn't requested");
    }
    Ok((row.sequence > 0 || row.stale.is_some()).then_some(row))
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
