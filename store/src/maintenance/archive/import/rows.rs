//! The rows that are written by the same SQL on both engines, some hundred rows at a time.

use crate::db::Tx;
use crate::log::{Identity, Receipt, RecordedEvent};
use crate::maintenance::archive::ArchiveError;
use crate::maintenance::archive::line::{
    BookLine, CheckpointLine, DeadlineLine, DroppedLine, NameLine, NumberLine, ParkedLine,
    PersonLine, WaitingLine,
};
use crate::on_tx;
use sqlx::QueryBuilder;

/// Rows per statement: well below the engines' limits of bound values.
const CHUNK: usize = 500;

/// Writes rows: `insert!(tx, rows, "INSERT INTO … ", |row, value| …, " ON CONFLICT …")`.
macro_rules! insert {
    ($tx:expr, $rows:expr, $sql:expr, |$row:ident, $value:ident| $bind:expr, $end:expr) => {{
        for chunk in $rows.chunks(CHUNK) {
            on_tx!(&mut *$tx, connection => {
                let mut query = QueryBuilder::new($sql);
                query.push_values(chunk, |mut $row, $value| {
                    $bind;
                });
                query.push($end);
                // A full chunk is the same statement every time.
                let same = chunk.len() == CHUNK;
                query.build().persistent(same).execute(connection).await.map(drop)
            })?;
        }
        Ok(())
    }};
}

pub(super) async fn events(tx: &mut Tx, events: &[RecordedEvent]) -> Result<(), ArchiveError> {
    insert!(
        tx,
        events,
        "INSERT INTO events (position, aggregate_type, aggregate_id, sequence, event_type, \
         event_version, payload, metadata, recorded_at) ",
        |row, event| row
            .push_bind(event.position)
            .push_bind(event.stream.kind.as_ref())
            .push_bind(event.stream.number.to_string())
            .push_bind(event.sequence)
            .push_bind(event.event_type.as_str())
            .push_bind(event.event_version.as_str())
            .push_bind(event.payload.as_str())
            .push_bind(event.metadata.as_str())
            .push_bind(event.recorded_at),
        ""
    )
}

pub(super) async fn receipts(tx: &mut Tx, receipts: &[Receipt]) -> Result<(), ArchiveError> {
    insert!(
        tx,
        receipts,
        "INSERT INTO receipts (command_id, fingerprint, aggregate_type, aggregate_id, \
         first_sequence, event_count, refusal) ",
        |row, receipt| row
            .push_bind(receipt.command_id.as_bytes().as_slice())
            .push_bind(receipt.fingerprint.as_slice())
            .push_bind(receipt.stream.kind.as_ref())
            .push_bind(receipt.stream.number.to_string())
            .push_bind(receipt.first_sequence)
            .push_bind(receipt.count)
            .push_bind(receipt.kind.refusal()),
        ""
    )
}

/// Numbers only ever rise.
pub(super) async fn numbers(tx: &mut Tx, numbers: &[NumberLine]) -> Result<(), ArchiveError> {
    insert!(
        tx,
        numbers,
        "INSERT INTO numbers (kind, last) ",
        |row, number| row.push_bind(number.kind.as_str()).push_bind(number.last),
        " ON CONFLICT (kind) DO UPDATE SET last = \
         CASE WHEN excluded.last > numbers.last THEN excluded.last ELSE numbers.last END"
    )
}

pub(super) async fn persons(tx: &mut Tx, persons: &[PersonLine]) -> Result<(), ArchiveError> {
    insert!(
        tx,
        persons,
        "INSERT INTO personal_data (person_id, name) ",
        |row, person| row.push_bind(person.id).push_bind(person.name.as_deref()),
        " ON CONFLICT (person_id) DO UPDATE SET name = excluded.name"
    )
}

pub(super) async fn books(tx: &mut Tx, entries: &[BookLine]) -> Result<(), ArchiveError> {
    insert!(
        tx,
        entries,
        "INSERT INTO books (book, key, value, recorded_at) ",
        |row, entry| row
            .push_bind(entry.book.as_str())
            .push_bind(entry.key.as_str())
            .push_bind(entry.value.as_str())
            .push_bind(entry.recorded_at),
        " ON CONFLICT (book, key) DO NOTHING"
    )
}

pub(super) async fn names(tx: &mut Tx, names: &[NameLine<'static>]) -> Result<(), ArchiveError> {
    insert!(
        tx,
        names,
        "INSERT INTO personal_names (aggregate_type, aggregate_id, person_id, name) ",
        |row, name| row
            .push_bind(name.aggregate.as_ref())
            .push_bind(name.number.to_string())
            .push_bind(name.person)
            .push_bind(name.name.as_deref()),
        " ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET name = excluded.name"
    )
}

pub(super) async fn deadlines(tx: &mut Tx, deadlines: &[DeadlineLine]) -> Result<(), ArchiveError> {
    insert!(
        tx,
        deadlines,
        "INSERT INTO deadlines (manager, key, due_at, payload) ",
        |row, deadline| row
            .push_bind(deadline.manager.as_str())
            .push_bind(deadline.key.as_str())
            .push_bind(deadline.due_at)
            .push_bind(deadline.payload.as_str()),
        ""
    )
}

pub(super) async fn sources(tx: &mut Tx, logs: &[(&str, Identity)]) -> Result<(), ArchiveError> {
    insert!(
        tx,
        logs,
        "INSERT INTO sources (name, log_id, log_epoch) ",
        |row, log| row.push_bind(log.0).push_bind(log.1.log_id.to_string()).push_bind(log.1.epoch),
        ""
    )
}

pub(super) async fn checkpoints(
    tx: &mut Tx,
    checkpoints: &[CheckpointLine],
) -> Result<(), ArchiveError> {
    insert!(
        tx,
        checkpoints,
        "INSERT INTO checkpoints (subscription, source, log_epoch, position, lease_epoch) ",
        |row, checkpoint| row
            .push_bind(checkpoint.subscription.as_str())
            .push_bind(checkpoint.source.as_str())
            .push_bind(checkpoint.epoch)
            .push_bind(checkpoint.position)
            .push_bind(0_i64),
        ""
    )
}

pub(super) async fn parked(tx: &mut Tx, parked: &[ParkedLine]) -> Result<(), ArchiveError> {
    insert!(
        tx,
        parked,
        "INSERT INTO parked (subscription, key, state, reason, since_position, since_time, attempts, \
         next_try_at) ",
        |row, parked| row
            .push_bind(parked.subscription.as_str())
            .push_bind(parked.key.as_str())
            .push_bind(parked.state.as_str())
            .push_bind(parked.reason.as_str())
            .push_bind(parked.since_position)
            .push_bind(parked.since_time)
            .push_bind(parked.attempts)
            .push_bind(parked.next_try_at),
        ""
    )
}

pub(super) async fn waiting(tx: &mut Tx, waiting: &[WaitingLine]) -> Result<(), ArchiveError> {
    insert!(
        tx,
        waiting,
        "INSERT INTO parked_events (subscription, key, position) ",
        |row, waiting| row
            .push_bind(waiting.subscription.as_str())
            .push_bind(waiting.key.as_str())
            .push_bind(waiting.position),
        ""
    )
}

pub(super) async fn dropped(tx: &mut Tx, dropped: &[DroppedLine]) -> Result<(), ArchiveError> {
    insert!(
        tx,
        dropped,
        "INSERT INTO dropped (subscription, key, position, parked_for, reason, dropped_at) ",
        |row, dropped| row
            .push_bind(dropped.subscription.as_str())
            .push_bind(dropped.key.as_str())
            .push_bind(dropped.position)
            .push_bind(dropped.parked_for.as_str())
            .push_bind(dropped.reason.as_str())
            .push_bind(dropped.dropped_at),
        ""
    )
}
