//! Reads SQLite's log in place. sqlx sends every row from one thread to another with a copy of each column, which
//! takes several times as long as reading it; here one thread reads, through the same SQLite library, and copies the
//! texts of a whole chunk one after another.

use super::chunk::{CHUNK, Filling};
use super::{LogChunk, PositionRange};
use crate::db::sqlite::BUSY;
use crate::error::StoreError;
use crate::log::event::{Cell, Cells};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, OpenFlags, Row, Statement};
use std::path::Path;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// `+aggregate_type`: bare, SQLite would look all streams of the type up, and sort them, for every
/// chunk.
pub(super) const SQL: &str = "SELECT position, aggregate_id, sequence, event_type, event_version, \
     payload, recorded_at FROM events WHERE position > $1 AND position <= $2 \
     AND +aggregate_type = $3 ORDER BY position LIMIT $4";
/// Steps of SQLite's virtual machine between two checks whether the scan is still wanted: some milliseconds.
const STEPS: i32 = 100_000;

/// Sends chunks to the scan that waits for them.
#[derive(Clone)]
pub(super) struct ChunkSender {
    pub(super) chunks: mpsc::Sender<Result<LogChunk, StoreError>>,
    pub(super) stop: CancellationToken,
    pub(super) runtime: Handle,
}

impl ChunkSender {
    fn is_gone(&self) -> bool {
        self.chunks.is_closed() || self.stop.is_cancelled()
    }

    /// Waits until there is room; `false` where the scan was dropped. A store that closes ends the scan with an
    /// error, so that it never looks like the log's end.
    fn send(&self, chunk: LogChunk) -> Result<bool, StoreError> {
        let sent = self.stop.run_until_cancelled(self.chunks.send(Ok(chunk)));
        self.runtime.block_on(sent).map(|sent| sent.is_ok()).ok_or(StoreError::Closed)
    }
}

/// Reads all chunks of a scan; ends early when the scan is dropped. It blocks its thread. A statement ends with its
/// chunk, so that no snapshot is held while others checkpoint the write-ahead log.
pub(super) fn read(
    file: &Path,
    to: &ChunkSender,
    kind: &'static str,
    mut range: PositionRange,
) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let log = Connection::open_with_flags(file, flags)?;
    log.busy_timeout(BUSY)?;
    let taken = to.clone();
    log.progress_handler(STEPS, Some(move || taken.is_gone()));
    let mut statement = log.prepare(SQL)?;
    let mut chunk = Filling::default();
    while let Some(last) = fill(&mut chunk, &mut statement, kind, range)? {
        range.after = last;
        if !to.send(chunk.take(kind))? {
            break;
        }
    }
    Ok(())
}

/// Adds the next events; returns the last one's position, if there are any.
fn fill(
    chunk: &mut Filling,
    statement: &mut Statement<'_>,
    kind: &'static str,
    range: PositionRange,
) -> Result<Option<i64>, StoreError> {
    let mut last = None;
    let mut rows = statement.query((range.after, range.until, kind, CHUNK))?;
    while !chunk.is_full()
        && let Some(row) = rows.next()?
    {
        let position = row.get(0)?;
        last = Some(position);
        chunk.push(position, &cells(kind, row));
    }
    Ok(last)
}

fn cells<'r>(kind: &'static str, row: &'r Row<'_>) -> Cells<'r> {
    let cell = |column: usize| match row.get_ref(column) {
        Ok(ValueRef::Text(bytes)) => Cell::bytes(bytes),
        Ok(ValueRef::Blob(bytes)) => Cell::other(String::from_utf8_lossy(bytes)),
        Ok(ValueRef::Integer(number)) => Cell::other(number.to_string()),
        Ok(ValueRef::Real(number)) => Cell::other(number.to_string()),
        Ok(ValueRef::Null) | Err(_) => Cell::MISSING,
    };
    Cells {
        kind: Cell::text(kind),
        id: cell(1),
        sequence: row.get(2).ok(),
        event_type: cell(3),
        event_version: cell(4),
        payload: cell(5),
        recorded_at: row.get(6).ok(),
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::SqliteFailure(failure, _) => {
                Self::by_code(&failure.extended_code.to_string(), message)
            }
            _ => Self::Corrupt(message),
        }
    }
}
