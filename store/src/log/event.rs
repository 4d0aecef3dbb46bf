//! The rows of the log as values: events that are to be appended, and recorded events.

mod damage;

use crate::error::StoreError;
use sqlx::{ColumnIndex, Decode, Row, Type};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

pub use damage::Damage;
pub(crate) use damage::{Cell, Cells, lossy};

/// One stream: the events of one aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// The aggregate type.
    pub kind: Cow<'static, str>,
    /// The aggregate's number; its decimal text is the aggregate id of the row.
    pub number: i64,
}

impl StreamId {
    /// The stream of this aggregate.
    pub fn new(kind: impl Into<Cow<'static, str>>, number: i64) -> Self {
        Self { kind: kind.into(), number }
    }

    /// From the two columns of a row.
    pub(crate) fn parse(kind: String, id: &str) -> Result<Self, StoreError> {
        let number = damage::number_of(id);
        let number = number
            .ok_or_else(|| StoreError::Corrupt(format!("stream {kind}/{id} has no number")))?;
        Ok(Self { kind: Cow::Owned(kind), number })
    }
}

/// The error for a text that names no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a stream: TYPE/NUMBER")]
pub struct NotAStream;

/// Parses the displayed form.
impl FromStr for StreamId {
    type Err = NotAStream;

    fn from_str(text: &str) -> Result<Self, NotAStream> {
        let (kind, number) = text.split_once('/').ok_or(NotAStream)?;
        let number = damage::number_of(number).ok_or(NotAStream)?;
        if kind.is_empty() { Err(NotAStream) } else { Ok(Self::new(kind.to_owned(), number)) }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.number)
    }
}

/// An event that is to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The wire name.
    pub event_type: String,
    /// The version of the wire format.
    pub event_version: String,
    /// JSON.
    pub payload: String,
}

/// An event as it is stored in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place in the order of commits. Positions have holes; a hole is normal.
    pub position: i64,
    /// Whose event it is.
    pub stream: StreamId,
    /// Its place in the stream: 1, 2, 3 …
    pub sequence: i64,
    /// The wire name.
    pub event_type: String,
    /// The version of the wire format.
    pub event_version: String,
    /// JSON.
    pub payload: String,
    /// A flat JSON map of strings.
    pub metadata: String,
    /// When it was written, by the database's clock: microseconds since 1970.
    pub recorded_at: i64,
    /// The damage of the row, if it can't be read or is of no stream. Its other fields then hold their
    /// readable part.
    pub damage: Option<Box<Damage>>,
}

/// The parts of an event that a fold needs, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct EventRef<'a> {
    /// Its place in the order of commits.
    pub position: i64,
    /// The aggregate type of its stream.
    pub kind: &'a str,
    /// The aggregate's number.
    pub number: i64,
    /// Its place in the stream.
    pub sequence: i64,
    /// The wire name.
    pub event_type: &'a str,
    /// The version of the wire format.
    pub event_version: &'a str,
    /// JSON.
    pub payload: &'a str,
    /// When it was written, in microseconds.
    pub recorded_at: i64,
    /// The damage of the row.
    pub damage: Option<&'a Damage>,
}

impl EventRef<'_> {
    /// The key that is parked when the event can't be applied; see [`RecordedEvent::key`].
    pub fn key(&self) -> String {
        match self.damage.and_then(|damage| damage.foreign.as_deref()) {
            Some(foreign) => format!("{foreign}@{}", self.position),
            None if damage::is_word(self.kind) => format!("{}/{}", self.kind, self.number),
            // Keys are typed, and are in an index.
            None => {
                let kind = damage::printable(self.kind);
                format!("{kind}/{}@{}", self.number, self.position)
            }
        }
    }

    /// Whether the row is of a stream, even if it can't be read otherwise.
    pub fn has_stream(&self) -> bool {
        self.damage.is_none_or(|damage| damage.foreign.is_none())
    }
}

impl RecordedEvent {
    /// The key that is parked when the event can't be applied: its stream. A row that is of no stream is
    /// parked alone, under its own name for its stream and its position: `item/abc@17`.
    pub fn key(&self) -> String {
        self.as_event_ref().key()
    }

    /// Whether the row is of a stream, even if it can't be read otherwise.
    pub fn has_stream(&self) -> bool {
        self.as_event_ref().has_stream()
    }

    /// Why the row can't be read, if it can't.
    pub fn damage_reason(&self) -> Option<&str> {
        self.damage.as_ref().map(|damage| damage.reason.as_str())
    }

    /// The event without its metadata.
    pub fn as_event_ref(&self) -> EventRef<'_> {
        EventRef {
            position: self.position,
            kind: &self.stream.kind,
            number: self.stream.number,
            sequence: self.sequence,
            event_type: &self.event_type,
            event_version: &self.event_version,
            payload: &self.payload,
            recorded_at: self.recorded_at,
            damage: self.damage.as_deref(),
        }
    }

    /// The columns [`RecordedEvent::from_row`] reads, in its order.
    pub(crate) const COLUMNS: &'static str = "position, aggregate_type, aggregate_id, sequence, \
         event_type, event_version, CAST(payload AS TEXT), CAST(metadata AS TEXT), recorded_at";

    /// Roughly the memory it takes.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.payload.len() + self.metadata.len() + self.event_type.len()
    }

    /// The event of a row. A row that can't be read is returned with its damage: one bad row must not keep a reader
    /// from the others.
    pub(crate) fn from_row<'r, R>(row: &'r R) -> Result<Self, StoreError>
    where
        R: Row,
        usize: ColumnIndex<R>,
        i64: Decode<'r, R::Database> + Type<R::Database>,
        String: Decode<'r, R::Database> + Type<R::Database>,
        &'r str: Decode<'r, R::Database> + Type<R::Database>,
        Vec<u8>: Decode<'r, R::Database>,
    {
        match Self::intact(row) {
            Ok(event) if event.sequence > 0 => Ok(event),
            Ok(_) | Err(_) => Self::from_damaged_row(row),
        }
    }

    fn intact<'r, R>(row: &'r R) -> Result<Self, StoreError>
    where
        R: Row,
        usize: ColumnIndex<R>,
        i64: Decode<'r, R::Database> + Type<R::Database>,
        String: Decode<'r, R::Database> + Type<R::Database>,
        &'r str: Decode<'r, R::Database> + Type<R::Database>,
    {
        Ok(Self {
            position: row.try_get(0)?,
            stream: StreamId::parse(row.try_get(1)?, row.try_get(2)?)?,
            sequence: row.try_get(3)?,
            event_type: row.try_get(4)?,
            event_version: row.try_get(5)?,
            payload: row.try_get(6)?,
            metadata: row.try_get(7)?,
            recorded_at: row.try_get(8)?,
            damage: None,
        })
    }
}

impl fmt::Display for RecordedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, stream, sequence, event_type, damage, .. } = self;
        match damage.as_ref().and_then(|damage| damage.foreign.as_ref()) {
            Some(foreign) => write!(f, "{position} {foreign} #{sequence} {event_type}"),
            None => write!(f, "{position} {stream} #{sequence} {event_type}"),
        }
    }
}
