//! The check of a stored log: the kinds of its events, the events for a caller that can read them, all or samples, and
//! the invariants between its rows. It reads one snapshot and changes nothing.
//!
//! Memory doesn't grow with the log: the database groups and joins, and a bounded number of findings of each kind is
//! reported. Each question costs one pass over a table or an index.

mod rows;
mod structure;
mod subscriptions;

pub use rows::FILE_DAMAGED;
pub(crate) use structure::STEPS;

use crate::db::Db;
use crate::error::StoreError;
use crate::log::{Identity, RecordedEvent, StreamId, lossy};
use crate::maintenance::schema;
use crate::maintenance::snapshot::Snapshot;
use crate::on_tx;
use sqlx::Row;

/// Most findings of one kind that are reported.
const MAX_REPORTED: i64 = 20;
/// Positions searched for one sample.
const WINDOW: i64 = 5_000;
/// Samples of a kind of event between its first and its last.
const BETWEEN: i64 = 3;
/// Events of a stream that are read at once.
const PAGE: i64 = 500;

/// A check in progress.
#[derive(Debug)]
pub struct Check {
    snapshot: Snapshot,
    identity: Identity,
}

/// A fault, or a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The kind of finding, for programs: `sequence-gap`.
    pub code: &'static str,
    /// Whether the log must not be used as it is; else it is a warning.
    pub is_fault: bool,
    /// The fault and its place.
    pub detail: String,
}

impl Finding {
    /// A fault.
    pub const fn fault(code: &'static str, detail: String) -> Self {
        Self { code, is_fault: true, detail }
    }

    /// A warning: something that an operator should look at.
    pub const fn warning(code: &'static str, detail: String) -> Self {
        Self { code, is_fault: false, detail }
    }
}

/// One kind of stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKind {
    /// The aggregate type.
    pub aggregate: String,
    /// The wire name.
    pub event_type: String,
    /// The version of the wire format.
    pub event_version: String,
    /// How many there are.
    pub count: i64,
    /// The position of the first.
    pub first: i64,
    /// The position of the last.
    pub last: i64,
}

/// Which subscriptions this program runs.
#[derive(Debug, Clone, Copy)]
pub struct KnownSubscriptions<'a> {
    /// Those that act on events.
    pub acting: &'a [&'a str],
    /// Which of the others have state that is derived from events.
    pub is_derived: fn(&str) -> bool,
}

impl Check {
    /// Begins: later writes aren't checked.
    pub(crate) async fn of(log: &Db, views: &Db) -> Result<Self, StoreError> {
        let mut snapshot = Snapshot::of_whole_tables(log, views).await?;
        let identity = Identity::read_in(&mut snapshot.log).await?;
        Ok(Self { snapshot, identity })
    }

    /// Which log it is.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Everything that the schema lacks.
    pub async fn schema(&mut self) -> Result<Vec<Finding>, StoreError> {
        let faults = schema::faults(&mut self.snapshot).await?;
        Ok(faults.into_iter().map(|detail| Finding::fault("schema", detail)).collect())
    }

    /// Every stored kind of event. One pass over the log.
    pub async fn event_kinds(&mut self) -> Result<Vec<EventKind>, StoreError> {
        let sql = "SELECT aggregate_type, event_type, event_version, count(*), min(position), \
                   max(position) FROM events GROUP BY aggregate_type, event_type, event_version \
                   ORDER BY aggregate_type, event_type, event_version";
        on_tx!(&mut self.snapshot.log, connection => {
            let rows = sqlx::query(sql).fetch_all(connection).await?;
            let kind = |row| {
                Ok(EventKind {
                    aggregate: lossy(row, 0),
                    event_type: lossy(row, 1),
                    event_version: lossy(row, 2),
                    count: Row::try_get(row, 3)?,
                    first: Row::try_get(row, 4)?,
                    last: Row::try_get(row, 5)?,
                })
            };
            rows.iter().map(kind).collect()
        })
    }

    /// The first and the last event of a kind, and some in between. A few thousand positions are
    /// searched for each.
    pub async fn samples(&mut self, kind: &EventKind) -> Result<Vec<RecordedEvent>, StoreError> {
        let columns = RecordedEvent::COLUMNS;
        // The ends are found by their positions alone: a value that is no text equals no text.
        let sql = format!(
            "SELECT {columns} FROM events WHERE position >= $1 AND position < $2 \
             AND (aggregate_type = $3 AND event_type = $4 AND event_version = $5 OR position = $6) \
             ORDER BY position LIMIT 1"
        );
        let step = (kind.last - kind.first) / (BETWEEN + 1);
        let mut from: Vec<i64> = (0..=BETWEEN).map(|n| kind.first + n * step).collect();
        from.push(kind.last);
        let mut samples = Vec::new();
        for from in from {
            let end = if from == kind.first { kind.first } else { kind.last };
            let found: Option<RecordedEvent> = on_tx!(&mut self.snapshot.log, connection => {
                let query = sqlx::query(&sql)
                    .bind(from)
                    .bind(from.saturating_add(WINDOW))
                    .bind(&kind.aggregate)
                    .bind(&kind.event_type)
                    .bind(&kind.event_version)
                    .bind(end);
                let row = query.fetch_optional(connection).await?;
                row.as_ref().map(RecordedEvent::from_row).transpose()?
            });
            if let Some(found) = found.filter(|found| !samples.contains(found)) {
                samples.push(found);
            }
        }
        Ok(samples)
    }

    /// The events of a stream after this sequence; a page of them, none at its end.
    pub async fn stream(
        &mut self,
        stream: &StreamId,
        after_sequence: i64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let columns = RecordedEvent::COLUMNS;
        let sql = format!(
            "SELECT {columns} FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 \
             AND sequence > $3 ORDER BY sequence LIMIT $4"
        );
        on_tx!(&mut self.snapshot.log, connection => {
            let query = sqlx::query(&sql)
                .bind(stream.kind.as_ref())
                .bind(stream.number.to_string())
                .bind(after_sequence)
                .bind(PAGE);
            query.fetch_all(connection).await?.iter().map(RecordedEvent::from_row).collect()
        })
    }
}
