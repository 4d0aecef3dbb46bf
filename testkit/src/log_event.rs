//! The events of a log as they are stored, read from its database next to the running programs.

use std::fmt;

use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions, Connection, FromRow, PgConnection, Row};

use crate::test_db::TestDb;

/// The name of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName {
    /// The aggregate's type, `item` for example.
    pub kind: String,
    /// The aggregate's number.
    pub number: i64,
}

/// An event of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// The place in its log.
    pub position: i64,
    /// The stream.
    pub stream: StreamName,
    /// The place in its stream, from 1.
    pub sequence: i64,
    /// The wire name.
    pub event_type: String,
    /// The version of its shape.
    pub event_version: String,
    /// The JSON of the event.
    pub payload: String,
    /// The JSON of what caused it.
    pub metadata: String,
    /// Microseconds since 1970.
    pub recorded_at: i64,
}

impl StreamName {
    /// The stream of an aggregate.
    pub fn new(kind: &str, number: i64) -> Self {
        Self { kind: kind.to_owned(), number }
    }
}

impl LogEvent {
    /// A number in the event, `reservationNo` for example.
    pub fn number(&self, field: &str) -> Option<i64> {
        self.field(field)?.as_i64()
    }

    /// A text in the event.
    pub fn text(&self, field: &str) -> Option<String> {
        self.field(field)?.as_str().map(str::to_owned)
    }

    /// A field of the event.
    pub fn field(&self, field: &str) -> Option<Value> {
        let payload: Value = serde_json::from_str(&self.payload).ok()?;
        payload.get(&self.event_type)?.get(field).cloned()
    }

    /// The id of the command that wrote it; empty if it names none.
    pub fn command_id(&self) -> String {
        let metadata: Value = serde_json::from_str(&self.metadata).unwrap_or_default();
        let id = metadata.get("commandId").and_then(Value::as_str);
        id.unwrap_or_default().to_owned()
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.number)
    }
}

impl fmt::Display for LogEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, stream, sequence, event_type, .. } = self;
        write!(f, "{position} {stream} #{sequence} {event_type}")
    }
}

/// The columns of a [`LogEvent`]; PostgreSQL stores JSON, which is read as text.
fn select(as_text: &str) -> String {
    format!(
        "SELECT position, aggregate_type, aggregate_id, sequence, event_type, event_version, \
         payload{as_text} AS payload, metadata{as_text} AS metadata, recorded_at FROM events ORDER BY position"
    )
}

/// Reads a row of either engine.
macro_rules! event_of {
    ($row:expr) => {{
        let row = $row;
        let number: String = row.try_get("aggregate_id")?;
        Ok(LogEvent {
            position: row.try_get("position")?,
            stream: StreamName {
                kind: row.try_get("aggregate_type")?,
                number: number.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            },
            sequence: row.try_get("sequence")?,
            event_type: row.try_get("event_type")?,
            event_version: row.try_get("event_version")?,
            payload: row.try_get("payload")?,
            metadata: row.try_get("metadata")?,
            recorded_at: row.try_get("recorded_at")?,
        })
    }};
}

impl FromRow<'_, SqliteRow> for LogEvent {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        event_of!(row)
    }
}

impl FromRow<'_, sqlx::postgres::PgRow> for LogEvent {
    fn from_row(row: &sqlx::postgres::PgRow) -> sqlx::Result<Self> {
        event_of!(row)
    }
}

/// The events of several logs as if they were one: the positions of each follow those of the ones before.
pub fn joined(logs: &[Vec<LogEvent>]) -> Vec<LogEvent> {
    let mut all: Vec<LogEvent> = vec![];
    for log in logs {
        let before = all.last().map_or(0, |event| event.position);
        let shifted =
            |event: &LogEvent| LogEvent { position: event.position + before, ..event.clone() };
        all.extend(log.iter().map(shifted));
    }
    all
}

impl TestDb {
    /// All events of the log, in order, as an outsider reads them while programs may have it open.
    pub async fn events(&self) -> Vec<LogEvent> {
        let events = if let Some(folder) = self.folder() {
            let file = SqliteConnectOptions::new().filename(folder.join("log.db"));
            let mut connection = file.connect().await.expect("the file");
            sqlx::query_as(&select("")).fetch_all(&mut connection).await
        } else {
            let mut connection = PgConnection::connect(self.url()).await.expect("a connection");
            sqlx::query_as(&select("::text")).fetch_all(&mut connection).await
        };
        events.expect("the events of the log")
    }
}
