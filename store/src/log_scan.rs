//! Reading a long stretch of the log fast, for rebuilding: the events of one aggregate type in the
//! order of commits, in chunks whose rows are read in place, by as many readers as there are.
//!
//! A scan ends with all there is or with an error; a lost connection never looks like the end.

use crate::db::Db;
use crate::error::StoreError;
use crate::event::EventRef;
use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Row, Type};
use std::fmt;
use tokio::sync::mpsc;

/// Events of one chunk.
const CHUNK: usize = 4_096;
/// Chunks read ahead of whoever takes them.
const AHEAD: usize = 3;
/// Events of one statement, so that no snapshot of the database is held for long.
const STATEMENT: i64 = 131_072;

const SQL: &str = "SELECT position, aggregate_id, sequence, event_type, event_version, \
     CAST(payload AS TEXT), recorded_at FROM events WHERE position > $1 AND position <= $2 \
     AND aggregate_type = $3 ORDER BY position LIMIT $4";

/// A scan under way. Dropping it ends the reading.
#[derive(Debug)]
pub struct LogScan(mpsc::Receiver<Result<LogChunk, StoreError>>);

/// Some events, as the engine handed them over.
pub struct LogChunk {
    kind: &'static str,
    rows: Rows,
}

enum Rows {
    Postgres(Vec<PgRow>),
    Sqlite(Vec<SqliteRow>),
}

impl LogScan {
    pub(crate) fn start(db: Db, kind: &'static str, after: i64, until: i64) -> Self {
        let (chunks, taken) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            let read = match &db {
                Db::Postgres(pool) => read(pool, &chunks, kind, (after, until)).await,
                Db::Sqlite { read: pool, .. } => read(pool, &chunks, kind, (after, until)).await,
            };
            if let Err(error) = read {
                // Whoever went away meanwhile doesn't want to know.
                drop(chunks.send(Err(error)).await);
            }
        });
        Self(taken)
    }

    /// The next events; `None` after the last of them.
    pub async fn next(&mut self) -> Result<Option<LogChunk>, StoreError> {
        self.0.recv().await.transpose()
    }
}

impl fmt::Debug for LogChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogChunk").field("events", &self.len()).finish_non_exhaustive()
    }
}

impl LogChunk {
    /// How many events.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Postgres(rows) => rows.len(),
            Rows::Sqlite(rows) => rows.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shows every event, in order, until one is refused.
    pub fn each<E: From<StoreError>>(
        &self,
        mut see: impl FnMut(EventRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.rows {
            Rows::Postgres(rows) => rows.iter().try_for_each(|row| see(event(self.kind, row)?)),
            Rows::Sqlite(rows) => rows.iter().try_for_each(|row| see(event(self.kind, row)?)),
        }
    }
}

/// Which kind of rows an engine has.
trait Engine: sqlx::Database {
    fn rows(rows: Vec<Self::Row>) -> Rows;
}

impl Engine for sqlx::Postgres {
    fn rows(rows: Vec<PgRow>) -> Rows {
        Rows::Postgres(rows)
    }
}

impl Engine for sqlx::Sqlite {
    fn rows(rows: Vec<SqliteRow>) -> Rows {
        Rows::Sqlite(rows)
    }
}

async fn read<DB: Engine>(
    pool: &sqlx::Pool<DB>,
    chunks: &mpsc::Sender<Result<LogChunk, StoreError>>,
    kind: &'static str,
    (mut after, until): (i64, i64),
) -> Result<(), StoreError>
where
    for<'c> &'c sqlx::Pool<DB>: sqlx::Executor<'c, Database = DB>,
    for<'q> DB::Arguments<'q>: sqlx::IntoArguments<'q, DB>,
    for<'a> i64: Decode<'a, DB> + sqlx::Encode<'a, DB> + Type<DB>,
    for<'a> &'a str: Decode<'a, DB> + sqlx::Encode<'a, DB> + Type<DB>,
    usize: ColumnIndex<DB::Row>,
{
    loop {
        let query = sqlx::query(SQL).bind(after).bind(until).bind(kind).bind(STATEMENT);
        let mut stream = query.fetch(pool);
        let (mut rows, mut read) = (Vec::with_capacity(CHUNK), 0);
        loop {
            let row = stream.try_next().await?;
            let is_end = row.is_none();
            if let Some(row) = row {
                after = row.try_get(0)?;
                rows.push(row);
                read += 1;
            }
            if rows.len() == CHUNK || is_end && !rows.is_empty() {
                let full = std::mem::replace(&mut rows, Vec::with_capacity(CHUNK));
                let chunk = LogChunk { kind, rows: DB::rows(full) };
                if chunks.send(Ok(chunk)).await.is_err() {
                    return Ok(());
                }
            }
            if is_end {
                break;
            }
        }
        if read < STATEMENT {
            return Ok(());
        }
    }
}

fn event<'r, R>(kind: &'static str, row: &'r R) -> Result<EventRef<'r>, StoreError>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
{
    let id: &str = row.try_get(1)?;
    Ok(EventRef {
        position: row.try_get(0)?,
        kind,
        number: id.parse().map_err(|_| StoreError::Corrupt(format!("{kind}/{id}: no number")))?,
        sequence: row.try_get(2)?,
        event_type: row.try_get(3)?,
        event_version: row.try_get(4)?,
        payload: row.try_get(5)?,
        recorded_at: row.try_get(6)?,
    })
}
