//! The part of an import that is special on PostgreSQL: events and receipts by COPY, locks, the next position.

use super::ImportSource;
use crate::db::CopyIn;
use crate::error::StoreError;
use crate::failpoint;
use crate::log::{Receipt, RecordedEvent};
use crate::maintenance::archive::ArchiveError;
use crate::maintenance::archive::reader::ArchiveBatch;
use sqlx::{Executor, PgConnection, Row};
use std::time::Duration;
use tokio::time::sleep;

/// SQLSTATE of a lock that wasn't granted in time, and of a deadlock.
const NOT_GRANTED: [&str; 2] = ["55P03", "40P01"];

/// A process that opens the log reads its identity first, so that a server that starts now waits for the end.
const LOCK: &str = "SET LOCAL lock_timeout = '2s'; \
    SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL work_mem = '64MB'; \
    LOCK TABLE identity, events, receipts, numbers, personal_data, personal_names, books, checkpoints, \
    leases, deadlines, parked, parked_events, dropped, generations IN ACCESS EXCLUSIVE MODE";

const EVENTS: &str = "position, aggregate_type, aggregate_id, sequence, event_type, event_version, \
    payload, metadata, recorded_at";

const RECEIPTS: &str = "command_id, fingerprint, aggregate_type, aggregate_id, first_sequence, \
    event_count, refusal";

/// How often a connection that may just be closing is checked again before it counts as open.
const CHECKS: u32 = 10;
/// Between two checks.
const BETWEEN: Duration = Duration::from_millis(100);

/// The names by which connections to the database are distinguished.
pub(super) struct ConnectionNames<'a> {
    /// That of this process.
    pub(super) own: &'a str,
    /// With which those of all programs of this market begin.
    pub(super) prefix: &'a str,
}

/// Makes sure that no process uses the log, and blocks all others until the transaction ends.
pub(super) async fn lock(
    connection: &mut PgConnection,
    names: &ConnectionNames<'_>,
) -> Result<(), ArchiveError> {
    let mut checks = 1;
    while let Some(others) = others(connection, names).await? {
        if checks == CHECKS {
            return Err(others);
        }
        checks += 1;
        sleep(BETWEEN).await;
    }
    if let Err(error) = connection.execute(LOCK).await {
        let code = error.as_database_error().and_then(|error| error.code().map(String::from));
        if code.is_some_and(|code| NOT_GRANTED.contains(&code.as_str())) {
            return Err(ArchiveError::InUse("another session uses its tables".to_owned()));
        }
        return Err(error.into());
    }
    // A process that connected in between has read the identity that is about to change.
    others(connection, names).await?.map_or(Ok(()), Err)
}

/// A server that is alive renews its leases; one that has none yet is seen by its connections.
async fn others(
    connection: &mut PgConnection,
    names: &ConnectionNames<'_>,
) -> Result<Option<ArchiveError>, ArchiveError> {
    let sql = "SELECT \
        (SELECT count(*) FROM leases WHERE expires_at > extract(epoch FROM clock_timestamp()) * 1e6), \
        (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND application_name <> $1 AND starts_with(application_name, $2))";
    // Within a transaction the connections are otherwise those of the first check.
    connection.execute("SELECT pg_stat_clear_snapshot()").await?;
    let row = sqlx::query(sql).bind(names.own).bind(names.prefix).fetch_one(connection).await?;
    let (leases, connections): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let is_in_use = leases > 0 || connections > 0;
    Ok(is_in_use.then(|| {
        ArchiveError::InUse(format!(
            "a server or another tool has it open ({leases} leases, {connections} connections)"
        ))
    }))
}

/// Copies events until the source has something else, and returns that.
pub(super) async fn copy_events(
    connection: &mut PgConnection,
    first: Vec<RecordedEvent>,
    source: &mut ImportSource<'_>,
) -> Result<ArchiveBatch, ArchiveError> {
    let mut copy = CopyIn::begin(connection, "events", EVENTS).await?;
    let mut events = first;
    loop {
        for each in &events {
            event(&mut copy, each).await?;
        }
        copy.send().await?;
        failpoint!("import.events");
        match source.next().await {
            Ok(ArchiveBatch::Events(more)) => events = more,
            other => return end(copy, other).await,
        }
    }
}

/// Copies receipts until the source has something else, and returns that.
pub(super) async fn copy_receipts(
    connection: &mut PgConnection,
    first: Vec<Receipt>,
    source: &mut ImportSource<'_>,
) -> Result<ArchiveBatch, ArchiveError> {
    let mut copy = CopyIn::begin(connection, "receipts", RECEIPTS).await?;
    let mut receipts = first;
    loop {
        for each in &receipts {
            receipt(&mut copy, each).await?;
        }
        copy.send().await?;
        match source.next().await {
            Ok(ArchiveBatch::Receipts(more)) => receipts = more,
            other => return end(copy, other).await,
        }
    }
}

/// Positions continue after this one. A rollback doesn't undo it, which does no harm: holes are normal.
pub(super) async fn continue_after(
    connection: &mut PgConnection,
    position: i64,
) -> Result<(), ArchiveError> {
    let sql = "SELECT setval(pg_get_serial_sequence('events', 'position'), $1)";
    sqlx::query(sql).bind(position).execute(connection).await?;
    Ok(())
}

async fn event(copy: &mut CopyIn<'_>, event: &RecordedEvent) -> Result<(), StoreError> {
    copy.row().await?;
    copy.number(event.position)?;
    copy.text(event.stream.kind.as_ref())?;
    copy.text(event.stream.number.to_string().as_str())?;
    copy.number(event.sequence)?;
    copy.text(event.event_type.as_str())?;
    copy.text(event.event_version.as_str())?;
    copy.text(event.payload.as_str())?;
    copy.text(event.metadata.as_str())?;
    copy.number(event.recorded_at)
}

async fn receipt(copy: &mut CopyIn<'_>, receipt: &Receipt) -> Result<(), StoreError> {
    copy.row().await?;
    copy.bytes(receipt.command_id.as_bytes().as_slice())?;
    copy.bytes(receipt.fingerprint.as_slice())?;
    copy.text(receipt.stream.kind.as_ref())?;
    copy.text(receipt.stream.number.to_string().as_str())?;
    copy.number(receipt.first_sequence)?;
    copy.number(receipt.count)?;
    copy.text(receipt.kind.refusal())
}

/// Ends the COPY; after a fault of the source by discarding what was sent.
async fn end(
    copy: CopyIn<'_>,
    next: Result<ArchiveBatch, ArchiveError>,
) -> Result<ArchiveBatch, ArchiveError> {
    match next {
        Ok(next) => {
            copy.finish().await?;
            Ok(next)
        }
        Err(error) => {
            copy.abort("the archive is faulty").await;
            Err(error)
        }
    }
}
