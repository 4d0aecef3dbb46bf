//! Reading SQLite's log where it lies. sqlx hands every row from one thread to another with a copy of
//! each column, which takes several times as long as the reading; here one thread reads, through the
//! same SQLite library, and copies the texts of a whole chunk one after another.

use super::chunk::Rows;
use super::{CHUNK, CHUNK_BYTES, LogChunk, number};
use crate::db::sqlite::BUSY;
use crate::error::StoreError;
use crate::event::EventRef;
use rusqlite::{Connection, OpenFlags, Row, Statement};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;

/// `+aggregate_type`: bare, SQLite would look all streams of the type up, and sort them, for every
/// chunk.
pub(super) const SQL: &str = "SELECT position, aggregate_id, sequence, event_type, event_version, \
     payload, recorded_at FROM events WHERE position > $1 AND position <= $2 \
     AND +aggregate_type = $3 ORDER BY position LIMIT $4";
/// Steps of SQLite's machine between two looks whether anybody still waits: some milliseconds.
const STEPS: i32 = 100_000;

/// Events that share their texts.
#[derive(Debug)]
pub(super) struct Packed {
    texts: Arc<String>,
    events: Vec<Place>,
}

/// What one event is, and which part of the texts is its own.
#[derive(Debug, Clone)]
struct Place {
    position: i64,
    sequence: i64,
    recorded_at: i64,
    event_type: Range<usize>,
    event_version: Range<usize>,
    payload: Range<usize>,
}

/// Reads all chunks of a scan; ends early when nobody takes them. It blocks its thread. A statement
/// ends with its chunk: no snapshot is held while others fold.
pub(super) fn read(
    file: &Path,
    chunks: &mpsc::Sender<Result<LogChunk, StoreError>>,
    kind: &'static str,
    (mut after, until): (i64, i64),
) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let log = Connection::open_with_flags(file, flags)?;
    log.busy_timeout(BUSY)?;
    let taken = chunks.clone();
    log.progress_handler(STEPS, Some(move || taken.is_closed()));
    let mut statement = log.prepare(SQL)?;
    while let Some((chunk, last)) = chunk(&mut statement, kind, (after, until))? {
        after = last;
        if chunks.blocking_send(Ok(chunk)).is_err() {
            break;
        }
    }
    Ok(())
}

/// The next events and the last one's position, if there are any.
fn chunk(
    statement: &mut Statement<'_>,
    kind: &'static str,
    (after, until): (i64, i64),
) -> Result<Option<(LogChunk, i64)>, StoreError> {
    let (mut texts, mut events, mut numbers) = (String::new(), Vec::new(), Vec::new());
    let mut rows = statement.query((after, until, kind, CHUNK))?;
    while texts.len() < CHUNK_BYTES
        && let Some(row) = rows.next()?
    {
        numbers.push(number(kind, text(row, 1)?)?);
        events.push(Place {
            position: row.get(0)?,
            sequence: row.get(2)?,
            recorded_at: row.get(6)?,
            event_type: append(&mut texts, text(row, 3)?),
            event_version: append(&mut texts, text(row, 4)?),
            payload: append(&mut texts, text(row, 5)?),
        });
    }
    let Some(last) = events.last().map(|event| event.position) else { return Ok(None) };
    let rows = Rows::Sqlite(Packed { texts: Arc::new(texts), events });
    Ok(Some((LogChunk { kind, numbers, rows }, last)))
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, StoreError> {
    let text = row.get_ref(column)?.as_str();
    text.map_err(|error| StoreError::Corrupt(format!("an event's column {column}: {error}")))
}

fn append(texts: &mut String, text: &str) -> Range<usize> {
    let begin = texts.len();
    texts.push_str(text);
    begin..texts.len()
}

impl Packed {
    /// The sequences, in order.
    pub(super) fn sequences(&self) -> impl Iterator<Item = i64> {
        self.events.iter().map(|event| event.sequence)
    }

    /// The events, in order; `numbers` are those of their aggregates.
    pub(super) fn each<'a>(
        &'a self,
        kind: &'static str,
        numbers: &'a [i64],
    ) -> impl Iterator<Item = EventRef<'a>> {
        let text = |range: &Range<usize>| self.texts.get(range.clone()).unwrap_or_default();
        self.events.iter().zip(numbers).map(move |(place, number)| EventRef {
            position: place.position,
            kind,
            number: *number,
            sequence: place.sequence,
            event_type: text(&place.event_type),
            event_version: text(&place.event_version),
            payload: text(&place.payload),
            recorded_at: place.recorded_at,
        })
    }

    /// None of the events, for some of them to come.
    pub(super) fn empty(&self) -> Self {
        Self { texts: Arc::clone(&self.texts), events: Vec::new() }
    }

    /// Takes in an event of another that shares the texts.
    pub(super) fn take(&mut self, from: &Self, index: usize) {
        self.events.extend(from.events.get(index).cloned());
    }
}
