//! Reads the log: all events in the order of commits, or one stream in its own order. Only the appender writes.

#[cfg(test)]
mod tests;

use crate::db::tasks::Tasks;
use crate::db::{Db, Pooled};
use crate::error::StoreError;
use crate::log::event::{RecordedEvent, StreamId};
use crate::log::log_scan::{LogScan, PositionRange};
use crate::log::stream_loader::StreamLoader;
use crate::on_db;
use sqlx::Sqlite;
use std::future::Future;
use std::sync::LazyLock;
use tokio::time::Instant;

/// Positions that one statement counts: some 20 ms.
const COUNTED_RANGE: i64 = 65_536;

/// The log, for reading.
#[derive(Debug, Clone)]
pub struct EventLog {
    db: Db,
    streams: StreamLoader,
    /// Where scans run.
    tasks: Tasks,
}

static AFTER: LazyLock<String> = LazyLock::new(|| {
    let columns = RecordedEvent::COLUMNS;
    format!("SELECT {columns} FROM events WHERE position > $1 ORDER BY position LIMIT $2")
});

impl EventLog {
    pub(crate) const fn new(db: Db, streams: StreamLoader, tasks: Tasks) -> Self {
        Self { db, streams, tasks }
    }

    pub(crate) const fn db(&self) -> &Db {
        &self.db
    }

    /// The events after this position, at most `limit`, in the order of commits. An event that is
    /// not among them and has a lower position than the last of them will never appear.
    pub async fn read_after(
        &self,
        position: i64,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        on_db!(&self.db, pool => {
            let query = sqlx::query(&AFTER).bind(position).bind(i64::from(limit));
            query.fetch_all(pool).await?.iter().map(RecordedEvent::from_row).collect()
        })
    }

    /// The key that tokens of positions are signed with. It is kept with the log and never shown.
    pub async fn token_key(&self) -> Result<Vec<u8>, StoreError> {
        crate::log::identity::token_key(&self.db).await
    }

    /// The position of the last event, 0 for an empty log.
    pub async fn head(&self) -> Result<i64, StoreError> {
        head(&self.db).await
    }

    /// The position of the last event that was recorded at this time (in microseconds) or before, 0 if
    /// none was. The database's clock may have been set back: then it is one of those around there.
    pub async fn position_at(&self, time: i64) -> Result<i64, StoreError> {
        // Events are recorded in the order of positions, so halving finds it in a few reads.
        let (mut low, mut high) = (0, self.head().await?);
        while low < high {
            let middle = low + (high - low + 1) / 2;
            // The last event up to the middle, which itself may be a hole.
            let at: Option<(i64, i64)> = on_db!(&self.db, pool => {
                let sql = "SELECT position, recorded_at FROM events WHERE position <= $1 \
                           ORDER BY position DESC LIMIT 1";
                sqlx::query_as(sql).bind(middle).fetch_optional(pool).await?
            });
            match at {
                Some((position, recorded_at)) if recorded_at <= time => {
                    // Nothing lies between it and the middle.
                    low = middle.max(position);
                }
                Some((position, _)) => high = position - 1,
                None => low = middle,
            }
        }
        // This position may be a hole, so that the event's own position is looked up.
        self.last_up_to(low).await
    }

    /// The position of the last event up to this position, 0 without any.
    pub async fn last_up_to(&self, position: i64) -> Result<i64, StoreError> {
        let found: Option<i64> = on_db!(&self.db, pool => {
            let sql = "SELECT max(position) FROM events WHERE position <= $1";
            sqlx::query_scalar(sql).bind(position).fetch_one(pool).await?
        });
        Ok(found.unwrap_or(0))
    }

    /// The last position before the next event; the highest possible one if there is none. Holes may be wide, so that
    /// scans skip them.
    pub(crate) async fn before_next(&self, position: i64) -> Result<i64, StoreError> {
        let next: Option<i64> = on_db!(&self.db, pool => {
            let sql = "SELECT min(position) FROM events WHERE position > $1";
            sqlx::query_scalar(sql).bind(position).fetch_one(pool).await?
        });
        Ok(next.map_or(i64::MAX, |next| next - 1))
    }

    /// The event at this position.
    pub async fn at(&self, position: i64) -> Result<Option<RecordedEvent>, StoreError> {
        let found = self.read_after(position.saturating_sub(1), 1).await?;
        Ok(found.into_iter().find(|event| event.position == position))
    }

    /// The database's clock, in microseconds, which [`RecordedEvent::recorded_at`] is taken from.
    pub async fn now(&self) -> Result<i64, StoreError> {
        let sql = format!("SELECT {}", self.db.now());
        on_db!(&self.db, pool => Ok(sqlx::query_scalar(&sql).fetch_one(pool).await?))
    }

    /// Scans the events of one aggregate type after `after` up to and including `until`.
    pub fn scan(&self, kind: &'static str, after: i64, until: i64) -> LogScan {
        LogScan::start(self.db.clone(), kind, PositionRange { after, until }, self.tasks.clone())
    }

    /// How many events after `after` up to and including `until` are of this aggregate type. Statements take some 20 ms
    /// each; between two of them `pause` may wait, and gets the time when the last one began. A long range on SQLite is
    /// counted by one statement, which takes some 0.1 s for every million events.
    pub async fn count_of<R: Future<Output = ()>>(
        &self,
        kind: &str,
        after: i64,
        until: i64,
        pause: impl Fn(Instant) -> R,
    ) -> Result<u64, StoreError> {
        let mut counted = 0;
        let mut range = PositionRange { after, until };
        while range.after < until {
            let began = Instant::now();
            let is_long = until - range.after > COUNTED_RANGE;
            let (count, reached) = match &self.db {
                Db::Sqlite { read, .. } if is_long => count_all(read, kind, range).await?,
                db => count_range(db, kind, range).await?,
            };
            counted += u64::try_from(count).unwrap_or(0);
            range.after = reached;
            pause(began).await;
        }
        Ok(counted)
    }

    /// How many events there are after `after` up to and including `until`.
    pub async fn count(&self, after: i64, until: i64) -> Result<u64, StoreError> {
        let count: i64 = on_db!(&self.db, pool => {
            let sql = "SELECT count(*) FROM events WHERE position > $1 AND position <= $2";
            sqlx::query_scalar(sql).bind(after).bind(until).fetch_one(pool).await?
        });
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// How many events of a stream are stored at a position or after it.
    pub async fn count_in(&self, stream: &StreamId, from: i64) -> Result<i64, StoreError> {
        Ok(on_db!(&self.db, pool => {
            let sql = "SELECT count(*) FROM events \
                       WHERE aggregate_type = $1 AND aggregate_id = $2 AND position >= $3";
            let query = sqlx::query_scalar(sql).bind(stream.kind.as_ref());
            query.bind(stream.number.to_string()).bind(from).fetch_one(pool).await?
        }))
    }

    /// The events of a stream after this sequence, in order. Reads that wait at the same time share a query.
    pub async fn stream(
        &self,
        stream: &StreamId,
        after_sequence: i64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.streams.read((stream.clone(), after_sequence)).await
    }
}

/// The position of the last event of a log, 0 for an empty one.
pub(crate) async fn head(log: &Db) -> Result<i64, StoreError> {
    on_db!(log, pool => {
        let query = sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM events");
        Ok(query.fetch_one(pool).await?)
    })
}

/// Counts one range, and returns the position after which the next one begins, so that a wide hole is skipped.
async fn count_range(db: &Db, kind: &str, range: PositionRange) -> Result<(i64, i64), StoreError> {
    let end = range.until.min(range.after.saturating_add(COUNTED_RANGE));
    // The type isn't part of the condition: SQLite would look up every stream of the type for each range.
    let sql = "SELECT (SELECT count(*) FILTER (WHERE aggregate_type = $1) FROM events \
               WHERE position > $2 AND position <= $3), \
               (SELECT min(position) - 1 FROM events WHERE position > $3)";
    let (count, next): (i64, Option<i64>) = on_db!(db, pool => {
        sqlx::query_as(sql).bind(kind).bind(range.after).bind(end).fetch_one(pool).await?
    });
    Ok((count, next.unwrap_or(range.until)))
}

/// Counts a long range by the index of streams, which is a small part of SQLite's log but not in the order of
/// positions: all of it is read, whatever the range.
async fn count_all(
    pool: &Pooled<Sqlite>,
    kind: &str,
    range: PositionRange,
) -> Result<(i64, i64), StoreError> {
    let sql = "SELECT count(*) FROM events WHERE aggregate_type = $1 \
               AND +position > $2 AND +position <= $3";
    let query = sqlx::query_scalar(sql).bind(kind).bind(range.after).bind(range.until);
    Ok((query.fetch_one(pool).await?, range.until))
}
