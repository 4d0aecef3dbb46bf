//! The marks by which an event is recognised: its place, and its metadata with the command's id.

use crate::log::event::{RecordedEvent, StreamId};

/// The mark of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventMark {
    pub(crate) position: i64,
    pub(crate) stream: StreamId,
    pub(crate) sequence: i64,
    pub(crate) metadata: String,
}

/// The log's identity and its head, with the event at the requested position, if there is one.
#[derive(Debug)]
pub(super) struct LogRow {
    pub(super) log_id: Vec<u8>,
    pub(super) epoch: i64,
    pub(super) head: i64,
    aggregate_type: Option<String>,
    aggregate_id: Option<String>,
    sequence: Option<i64>,
    metadata: Option<String>,
}

/// The columns of [`LogRow::SELECT`].
pub(super) type LogColumns =
    (Vec<u8>, i64, i64, Option<String>, Option<String>, Option<i64>, Option<String>);

impl From<LogColumns> for LogRow {
    fn from(columns: LogColumns) -> Self {
        let (log_id, epoch, head, aggregate_type, aggregate_id, sequence, metadata) = columns;
        Self { log_id, epoch, head, aggregate_type, aggregate_id, sequence, metadata }
    }
}

impl LogRow {
    pub(super) const SELECT: &str = "SELECT i.log_id, i.epoch, \
         (SELECT coalesce(max(position), 0) FROM events), \
         e.aggregate_type, e.aggregate_id, e.sequence, CAST(e.metadata AS TEXT) \
         FROM identity i LEFT JOIN events e ON e.position = $1 WHERE i.id = 1";
}

impl EventMark {
    pub(crate) fn of(event: &RecordedEvent) -> Self {
        Self {
            position: event.position,
            stream: event.stream.clone(),
            sequence: event.sequence,
            metadata: event.metadata.clone(),
        }
    }

    /// Whether this is the mark of `event`.
    pub(super) fn is(&self, event: &RecordedEvent) -> bool {
        self.position == event.position
            && self.sequence == event.sequence
            && self.stream == event.stream
            && self.metadata == event.metadata
    }

    /// Whether the row, which was read at this mark's position, has its event.
    pub(super) fn is_at(&self, row: &LogRow) -> bool {
        row.aggregate_type.as_deref() == Some(self.stream.kind.as_ref())
            && row.aggregate_id.as_ref().is_some_and(|id| id.parse() == Ok(self.stream.number))
            && row.sequence == Some(self.sequence)
            && row.metadata.as_ref() == Some(&self.metadata)
    }

    /// Why a log without this event is another one.
    pub(super) fn describe_loss(&self) -> String {
        let Self { position, stream, sequence, .. } = self;
        format!(
            "event {position} ({stream} #{sequence}) is not in it any more: it was restored from an older copy"
        )
    }
}
