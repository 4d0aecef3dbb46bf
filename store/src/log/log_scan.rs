//! Reads a long range of the log fast, for rebuilding: the events of one aggregate type in the order of commits, in
//! chunks.
//!
//! A row that can't be read is returned as such. A scan ends after the last event or with an error; a lost connection
//! never looks like the end.

mod chunk;
mod in_place;

use crate::db::tasks::Tasks;
use crate::db::{Db, Pooled};
use crate::error::StoreError;
use crate::log::event::{Cell, Cells};
use chunk::Filling;
use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{Postgres, Row};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

pub use chunk::LogChunk;

/// Chunks that are read before they are taken.
const READ_AHEAD: usize = 16;
/// Events of one statement, so that no snapshot of the database is held for long, also where the reader pauses.
const STATEMENT: i64 = if cfg!(test) { 1_000 } else { 16_384 };

/// The columns are read by their index: see [`cells`]. JSON is sent as its text; a cast to text would copy it twice
/// before.
const POSTGRES: &str = "SELECT position, aggregate_id, sequence, event_type, event_version, \
     payload, recorded_at FROM events WHERE position > $1 AND position <= $2 \
     AND aggregate_type = $3 ORDER BY position LIMIT $4";

/// The positions after `after` up to and including `until`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PositionRange {
    pub(crate) after: i64,
    pub(crate) until: i64,
}

/// A scan in progress. Dropping it ends the reading.
#[derive(Debug)]
pub struct LogScan(mpsc::Receiver<Result<LogChunk, StoreError>>);

impl LogScan {
    /// SQLite's reading thread is one of `tasks`.
    pub(crate) fn start(
        db: Db,
        kind: &'static str,
        range: PositionRange,
        Tasks { tracker, stop }: Tasks,
    ) -> Self {
        let (chunks, taken) = mpsc::channel(READ_AHEAD);
        tokio::spawn(async move {
            let read = match db {
                Db::Postgres(pool) => read(&pool, &chunks, kind, range).await,
                Db::Sqlite { read, .. } => {
                    let (file, chunks) = (read.connect_options(), chunks.clone());
                    let to = in_place::ChunkSender { chunks, stop, runtime: Handle::current() };
                    let read = move || in_place::read(file.get_filename(), &to, kind, range);
                    let reading = tracker.spawn_blocking(read).await;
                    reading.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
                }
            };
            if let Err(error) = read {
                // The caller may have gone away.
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

async fn read(
    pool: &Pooled<Postgres>,
    chunks: &mpsc::Sender<Result<LogChunk, StoreError>>,
    kind: &'static str,
    range: PositionRange,
) -> Result<(), StoreError> {
    let mut chunk = Filling::default();
    let mut after = range.after;
    loop {
        // The connection goes back between statements. Executed on the pool, every row would pass through one more
        // stream.
        let mut connection = pool.acquire().await?;
        let query = sqlx::query(POSTGRES).bind(after).bind(range.until).bind(kind).bind(STATEMENT);
        let mut rows = query.fetch(&mut connection);
        let mut read = 0;
        while let Some(row) = rows.try_next().await? {
            after = row.try_get_unchecked(0)?;
            chunk.push(after, &cells(kind, &row));
            read += 1;
            if chunk.is_full() && chunks.send(Ok(chunk.take(kind))).await.is_err() {
                return Ok(());
            }
        }
        if read < STATEMENT {
            break;
        }
    }
    if !chunk.is_empty() {
        // The caller may have gone away.
        drop(chunks.send(Ok(chunk.take(kind))).await);
    }
    Ok(())
}

/// The statement fixes the type of each column; checking it again for every row is expensive.
fn cells<'r>(kind: &'static str, row: &'r PgRow) -> Cells<'r> {
    let cell = |column: usize| match row.try_get_unchecked::<Option<&str>, _>(column) {
        Ok(Some(text)) => Cell::text(text),
        Ok(None) => Cell::MISSING,
        Err(_) => Cell::other(""),
    };
    Cells {
        kind: Cell::text(kind),
        id: cell(1),
        sequence: row.try_get_unchecked(2).ok(),
        event_type: cell(3),
        event_version: cell(4),
        payload: cell(5),
        recorded_at: row.try_get_unchecked(6).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Databases;
    use gdmarket_testkit::TestDb;
    use sqlx::SqlitePool;

    /// Sorting all streams of a type for every range makes a scan quadratic.
    #[tokio::test]
    async fn sqlite_scans_by_position() {
        let db = TestDb::sqlite();
        Databases::of_test(db.url()).await.close().await;
        let file = format!("sqlite:{}/log.db", db.folder().unwrap().display());
        let pool = SqlitePool::connect(&file).await.unwrap();
        let explain = format!("EXPLAIN QUERY PLAN {}", in_place::SQL);
        let plan = sqlx::query(&explain).bind(0).bind(9).bind("kind").bind(5);
        let plan = plan.fetch_all(&pool).await.unwrap();
        let steps: Vec<String> = plan.iter().map(|step| step.get(3)).collect();
        let search = "SEARCH events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)";
        assert!(steps.iter().any(|step| step == search), "{steps:?}");
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
    }
}
