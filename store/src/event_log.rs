//! Reading the log: all events in the order of commits, or one stream in its own order. Reads
//! only; appending is the appender's.

use crate::db::Db;
use crate::error::StoreError;
use crate::event::{RecordedEvent, StreamId};
use crate::on_db;
use std::sync::LazyLock;

/// The log, for reading.
#[derive(Debug, Clone)]
pub struct EventLog {
    db: Db,
}

static AFTER: LazyLock<String> = LazyLock::new(|| {
    let columns = RecordedEvent::COLUMNS;
    format!("SELECT {columns} FROM events WHERE position > $1 ORDER BY position LIMIT $2")
});

static STREAM: LazyLock<String> = LazyLock::new(|| {
    let columns = RecordedEvent::COLUMNS;
    format!(
        "SELECT {columns} FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 \
         AND sequence > $3 ORDER BY sequence"
    )
});

impl EventLog {
    pub(crate) const fn new(db: Db) -> Self {
        Self { db }
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

    /// The position of the last event, 0 for an empty log.
    pub async fn head(&self) -> Result<i64, StoreError> {
        on_db!(&self.db, pool => {
            let query = sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM events");
            Ok(query.fetch_one(pool).await?)
        })
    }

    /// The events of a stream after this sequence, in order.
    pub async fn stream(
        &self,
        stream: &StreamId,
        after_sequence: i64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        on_db!(&self.db, pool => {
            let query = sqlx::query(&STREAM)
                .bind(stream.kind.as_ref())
                .bind(stream.number.to_string())
                .bind(after_sequence);
            query.fetch_all(pool).await?.iter().map(RecordedEvent::from_row).collect()
        })
    }
}
