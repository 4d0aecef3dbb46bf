//! The appender on PostgreSQL: one autocommitted statement per batch. The migration's trigger takes the lock before
//! positions are allocated, so that the order of positions is the order of commits.

mod columns;
mod connection;

use super::writer::{LogWriter, WriteFault, WriteResult};
use crate::db::postgres::SessionSettings;
use crate::db::session::ends_session;
use crate::error::{DAMAGED_STATES, StoreError};
use crate::log::append::Append;
use crate::log::event::StreamId;
use crate::log::identity_guard::LogIdentityGuard;
use crate::log::receipt::{Receipt, by_id};
use columns::Columns;
use connection::WriteConnection;
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgSeverity};
use sqlx::{Executor, Row};
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// How long an answer is waited for. PostgreSQL ends a statement before (`statement_timeout`), so this limits how
/// long a silent network is waited for.
const ANSWER: Duration = Duration::from_secs(8);

/// The writing side on PostgreSQL.
pub(crate) struct PostgresWriter {
    connection: WriteConnection,
}

impl PostgresWriter {
    /// Connects when it is first used.
    pub(crate) fn new(
        options: PgConnectOptions,
        session: &SessionSettings,
        guard: LogIdentityGuard,
    ) -> Self {
        Self { connection: WriteConnection::new(options, session, guard) }
    }

    /// Begins with the lock, as a statement of its own: the statements that follow see all commits of writers that
    /// had the lock before, whereas a lock inside the appending statement would be read with a snapshot from before
    /// the wait.
    const BEGIN: &'static str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
                                 SELECT pg_advisory_xact_lock(7450199991725811489)";

    async fn simple(&mut self, sql: &str) -> WriteResult<()> {
        let connection = self.connection.open().await?;
        answer(connection.execute(sql)).await?;
        Ok(())
    }
}

/// Waits for a statement's answer.
async fn answer<T>(statement: impl Future<Output = Result<T, sqlx::Error>>) -> WriteResult<T> {
    match timeout(ANSWER, statement).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(fault(&error)),
        Err(_) => Err(WriteFault::Lost(format!("no answer within {ANSWER:?}"))),
    }
}

fn fault(error: &sqlx::Error) -> WriteFault {
    let database = error.as_database_error();
    let Some(database) = database.and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
    else {
        return WriteFault::Lost(error.to_string());
    };
    let code = database.code();
    let why = format!("{} ({code})", database.message());
    // Shut down, crashed, terminated by an operator, silent for too long in a transaction.
    if matches!(database.severity(), PgSeverity::Fatal | PgSeverity::Panic) {
        return WriteFault::Lost(why);
    }
    match (code.get(..2), code) {
        // Unique, not null (the predecessor is missing), deadlock, serialization.
        (_, "23505" | "23502" | "40P01" | "40001") => WriteFault::Contended(why),
        (Some("22" | "23" | "21"), _) => WriteFault::Data(why),
        (_, state) if DAMAGED_STATES.contains(&state) => WriteFault::Damaged(why),
        // Read-only, for example: somewhere else, or a moment later, there is a session that writes.
        _ if ends_session(error) => WriteFault::Lost(why),
        _ => WriteFault::Unavailable(why),
    }
}

/// A receipt that can't be read costs only the command that it belongs to.
fn corrupt(error: &StoreError) -> WriteFault {
    WriteFault::Data(error.to_string())
}

impl LogWriter for PostgresWriter {
    async fn append(&mut self, batch: &[&Append]) -> WriteResult<Vec<i64>> {
        let connection = self.connection.open().await?;
        let ids = Columns::ids(batch);
        let columns = Columns::new(batch, &ids);
        let rows = answer(columns.query().fetch_all(connection)).await?;
        let positions = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>();
        Ok(last_positions(batch, &positions.map_err(|error| fault(&error))?))
    }

    async fn begin(&mut self) -> WriteResult<()> {
        self.simple(Self::BEGIN).await
    }

    async fn receipts(&mut self, batch: &[&Append]) -> WriteResult<HashMap<Uuid, Receipt>> {
        let columns = Receipt::COLUMNS;
        let sql = format!("SELECT {columns} FROM receipts WHERE command_id = ANY($1)");
        let ids = batch.iter().map(|append| append.command_id.as_bytes().as_slice());
        let query = sqlx::query(&sql).bind(ids.collect::<Vec<&[u8]>>());
        let connection = self.connection.open().await?;
        let rows = answer(query.fetch_all(connection)).await?;
        by_id(&rows).map_err(|error| corrupt(&error))
    }

    async fn heads(&mut self, batch: &[&Append]) -> WriteResult<Vec<i64>> {
        let sql = "SELECT coalesce((SELECT max(e.sequence) FROM events e \
                   WHERE e.aggregate_type = s.kind AND e.aggregate_id = s.id), 0) \
                   FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS s (kind, id, ord) \
                   ORDER BY s.ord";
        let kinds = batch.iter().map(|append| append.stream.kind.as_ref()).collect::<Vec<&str>>();
        let query = sqlx::query_scalar(sql).bind(kinds).bind(Columns::ids(batch));
        let connection = self.connection.open().await?;
        answer(query.fetch_all(connection)).await
    }

    async fn insert(&mut self, batch: &[&Append]) -> WriteResult<Vec<i64>> {
        self.append(batch).await
    }

    async fn commit(&mut self) -> WriteResult<()> {
        self.simple("COMMIT").await
    }

    async fn rollback(&mut self) {
        if self.connection.is_open() && self.simple("ROLLBACK").await.is_err() {
            self.connection.forget();
        }
    }

    async fn position(&mut self, stream: &StreamId, sequence: i64) -> WriteResult<i64> {
        let sql = "SELECT position FROM events \
                   WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence = $3";
        let query = sqlx::query_scalar(sql)
            .bind(stream.kind.as_ref())
            .bind(stream.number.to_string())
            .bind(sequence);
        let connection = self.connection.open().await?;
        answer(query.fetch_one(connection)).await
    }

    async fn reconnect(&mut self) -> WriteResult<()> {
        self.connection.forget();
        self.connection.open().await.map(|_| ())
    }

    fn forget_connection(&mut self) {
        self.connection.forget();
    }
}

/// The position of each command's last event, from the positions of all events in order.
fn last_positions(batch: &[&Append], positions: &[i64]) -> Vec<i64> {
    let mut end = 0;
    let last = |append: &&Append| {
        end += append.events.len();
        let last = end.checked_sub(1).and_then(|last| positions.get(last)).copied();
        if append.events.is_empty() { 0 } else { last.unwrap_or(0) }
    };
    batch.iter().map(last).collect()
}
