//! What is PostgreSQL's own: events and receipts by COPY, locks, the next position.

use super::Source;
use crate::archive::ArchiveError;
use crate::archive::reader::Batch;
use crate::event::RecordedEvent;
use crate::failpoint;
use crate::receipt::{Receipt, ReceiptKind};
use sqlx::postgres::PgCopyIn;
use sqlx::{Executor, PgConnection, Row};
use std::time::Duration;
use tokio::time::sleep;

/// SQLSTATE of a lock that wasn't given in time, and of two who wait for each other.
const NOT_GIVEN: [&str; 2] = ["55P03", "40P01"];

/// Whoever opens the log reads its identity first, so a server that starts now waits for the end.
const LOCK: &str = "SET LOCAL lock_timeout = '2s'; \
    SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL work_mem = '64MB'; \
    LOCK TABLE identity, events, receipts, numbers, personal_data, checkpoints, leases, deadlines, \
    parked, parked_events, dropped, generations IN ACCESS EXCLUSIVE MODE";

const EVENTS: &str = "COPY events (position, aggregate_type, aggregate_id, sequence, event_type, \
    event_version, payload, metadata, recorded_at) FROM STDIN (FORMAT binary)";

const RECEIPTS: &str = "COPY receipts (command_id, fingerprint, aggregate_type, aggregate_id, \
    first_sequence, event_count, refusal) FROM STDIN (FORMAT binary)";

/// How often somebody who is just leaving is looked for again before they count as staying.
const LOOKS: u32 = 10;
/// How long between two looks.
const BETWEEN: Duration = Duration::from_millis(100);

/// Makes sure that nobody works on the log, and keeps everybody out until the transaction ends.
/// Connections are told apart by their names: this process's, and what those of all programs of ours
/// begin with.
pub(super) async fn lock(
    connection: &mut PgConnection,
    names: (&str, &str),
) -> Result<(), ArchiveError> {
    let mut looks = 1;
    while let Some(others) = others(connection, names).await? {
        if looks == LOOKS {
            return Err(others);
        }
        looks += 1;
        sleep(BETWEEN).await;
    }
    if let Err(error) = connection.execute(LOCK).await {
        let code = error.as_database_error().and_then(|error| error.code().map(String::from));
        if code.is_some_and(|code| NOT_GIVEN.contains(&code.as_str())) {
            return Err(ArchiveError::InUse("somebody else works on its tables".to_owned()));
        }
        return Err(error.into());
    }
    // Whoever came in between has read the identity that is about to change.
    others(connection, names).await?.map_or(Ok(()), Err)
}

/// A server that is alive renews its leases; one that has none yet is seen by its connections.
async fn others(
    connection: &mut PgConnection,
    (mine, everybody): (&str, &str),
) -> Result<Option<ArchiveError>, ArchiveError> {
    let sql = "SELECT \
        (SELECT count(*) FROM leases WHERE expires_at > extract(epoch FROM clock_timestamp()) * 1e6), \
        (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND application_name <> $1 AND starts_with(application_name, $2))";
    // Within a transaction the connections are otherwise those of the first look.
    connection.execute("SELECT pg_stat_clear_snapshot()").await?;
    let row = sqlx::query(sql).bind(mine).bind(everybody).fetch_one(connection).await?;
    let (leases, connections): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let someone = leases > 0 || connections > 0;
    Ok(someone.then(|| {
        ArchiveError::InUse(format!(
            "a server or another tool has it open ({leases} leases, {connections} connections)"
        ))
    }))
}

/// Copies events until the source has something else, and answers that.
pub(super) async fn copy_events(
    connection: &mut PgConnection,
    first: Vec<RecordedEvent>,
    source: &mut Source<'_>,
) -> Result<Batch, ArchiveError> {
    let mut copy = Copy::begin(connection, EVENTS).await?;
    let mut events = first;
    loop {
        for event in &events {
            copy.event(event)?;
        }
        copy.send().await?;
        failpoint!("import.events");
        match source.next().await {
            Ok(Batch::Events(more)) => events = more,
            other => return copy.end(other).await,
        }
    }
}

/// Copies receipts until the source has something else, and answers that.
pub(super) async fn copy_receipts(
    connection: &mut PgConnection,
    first: Vec<Receipt>,
    source: &mut Source<'_>,
) -> Result<Batch, ArchiveError> {
    let mut copy = Copy::begin(connection, RECEIPTS).await?;
    let mut receipts = first;
    loop {
        for receipt in &receipts {
            copy.receipt(receipt)?;
        }
        copy.send().await?;
        match source.next().await {
            Ok(Batch::Receipts(more)) => receipts = more,
            other => return copy.end(other).await,
        }
    }
}

/// Positions go on after this one. Not undone by a rollback, which does no harm: holes are normal.
pub(super) async fn go_on_after(
    connection: &mut PgConnection,
    position: i64,
) -> Result<(), ArchiveError> {
    let sql = "SELECT setval(pg_get_serial_sequence('events', 'position'), $1)";
    sqlx::query(sql).bind(position).execute(connection).await?;
    Ok(())
}

/// A COPY under way, in the binary format: a count of columns per row, and per column its length.
struct Copy<'c> {
    copy: PgCopyIn<&'c mut PgConnection>,
    data: Vec<u8>,
}

/// What the binary format begins with: the signature, no flags, no extension.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The count of columns that ends it.
const END: [u8; 2] = (-1_i16).to_be_bytes();
/// The length of a NULL.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

impl<'c> Copy<'c> {
    async fn begin(connection: &'c mut PgConnection, sql: &str) -> Result<Self, ArchiveError> {
        Ok(Self { copy: connection.copy_in_raw(sql).await?, data: SIGNATURE.to_vec() })
    }

    fn event(&mut self, event: &RecordedEvent) -> Result<(), ArchiveError> {
        self.data.extend_from_slice(&9_i16.to_be_bytes());
        self.number(event.position);
        self.text(&event.stream.kind)?;
        self.text(&event.stream.number.to_string())?;
        self.number(event.sequence);
        self.text(&event.event_type)?;
        self.text(&event.event_version)?;
        self.text(&event.payload)?;
        self.text(&event.metadata)?;
        self.number(event.recorded_at);
        Ok(())
    }

    fn receipt(&mut self, receipt: &Receipt) -> Result<(), ArchiveError> {
        self.data.extend_from_slice(&7_i16.to_be_bytes());
        self.bytes(receipt.command_id.as_bytes())?;
        self.bytes(&receipt.fingerprint)?;
        self.text(&receipt.stream.kind)?;
        self.text(&receipt.stream.number.to_string())?;
        self.number(receipt.first_sequence);
        self.number(receipt.count);
        match &receipt.kind {
            ReceiptKind::Done => self.data.extend_from_slice(&NULL),
            ReceiptKind::Refused(code) => self.text(code)?,
        }
        Ok(())
    }

    fn number(&mut self, number: i64) {
        self.data.extend_from_slice(&8_i32.to_be_bytes());
        self.data.extend_from_slice(&number.to_be_bytes());
    }

    fn text(&mut self, text: &str) -> Result<(), ArchiveError> {
        self.bytes(text.as_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        let length = i32::try_from(bytes.len()).map_err(std::io::Error::other)?;
        self.data.extend_from_slice(&length.to_be_bytes());
        self.data.extend_from_slice(bytes);
        Ok(())
    }

    async fn send(&mut self) -> Result<(), ArchiveError> {
        self.copy.send(self.data.as_slice()).await?;
        self.data.clear();
        Ok(())
    }

    /// Ends the COPY, well or, after a fault of the source, by throwing away what was sent.
    async fn end(mut self, next: Result<Batch, ArchiveError>) -> Result<Batch, ArchiveError> {
        let next = match next {
            Ok(next) => next,
            Err(error) => {
                if let Err(abort) = self.copy.abort("the archive is faulty").await {
                    tracing::debug!(%abort, "the database ends it by itself");
                }
                return Err(error);
            }
        };
        self.data.extend_from_slice(&END);
        self.send().await?;
        self.copy.finish().await?;
        Ok(next)
    }
}
