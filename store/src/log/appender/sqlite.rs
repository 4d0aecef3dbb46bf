//! The appender on SQLite: one transaction per batch, handed to the connection's thread in one piece, so that a single
//! command costs one hand-over and one sync.

mod rows;

use super::writer::{LogWriter, WriteFault, WriteResult};
use crate::db::sqlite::{LogWriterConnection, OwnSession, Writer};
use crate::error::{StoreError, UNSYNCED};
use crate::log::append::Append;
use crate::log::event::StreamId;
use crate::log::receipt::{Receipt, by_id};
use rows::{events, ids, names, receipts, streams};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

/// A batch is bound as JSON arrays, so that each batch is the same prepared statement. A command's first event looks
/// for its predecessor; where there is none, its sequence becomes NULL, which the table refuses. Receipts and names
/// come first, so that the last row inserted is the last event.
const INSERT: &str = "\
    INSERT INTO receipts (command_id, fingerprint, aggregate_type, aggregate_id,
                          first_sequence, event_count, refusal)
    SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2, value ->> 3,
           value ->> 4, value ->> 5, value ->> 6 FROM json_each($1);
    INSERT INTO personal_names (aggregate_type, aggregate_id, person_id, name)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($2) WHERE true
    ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET name = excluded.name;
    INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version,
                        payload, metadata)
    SELECT e.value ->> 0, e.value ->> 1,
           CASE WHEN e.value ->> 3 = 0 OR EXISTS (
               SELECT 1 FROM events p WHERE p.aggregate_type = e.value ->> 0
                   AND p.aggregate_id = e.value ->> 1 AND p.sequence = e.value ->> 3
           ) THEN e.value ->> 2 END,
           e.value ->> 4, e.value ->> 5, e.value ->> 6, e.value ->> 7
    FROM json_each($3) AS e ORDER BY e.key";

/// The writing side on SQLite.
pub(crate) struct SqliteWriter {
    writer: Writer,
    /// Locked from `begin` to the end of the transaction.
    in_transaction: Option<OwnedMutexGuard<LogWriterConnection>>,
    insert_in_transaction: String,
}

impl SqliteWriter {
    pub(crate) fn new(writer: Writer) -> Self {
        let insert_in_transaction = format!("BEGIN IMMEDIATE;\n{INSERT};\nCOMMIT");
        Self { writer, in_transaction: None, insert_in_transaction }
    }

    /// The connection of the transaction; without one, the connection locked for one statement.
    async fn locked(&mut self) -> WriteResult<Locked<'_>> {
        match &mut self.in_transaction {
            Some(connection) => Ok(Locked::InTransaction(connection.within())),
            None => Ok(Locked::OneStatement(lock(&self.writer).await?)),
        }
    }
}

/// Waits for the connection, and opens it again where the last one can't be used any more.
async fn lock(writer: &Writer) -> WriteResult<OwnedMutexGuard<LogWriterConnection>> {
    let mut connection = Arc::clone(writer).lock_owned().await;
    connection.session().await.map_err(|error| WriteFault::Unavailable(error.to_string()))?;
    Ok(connection)
}

enum Locked<'a> {
    InTransaction(&'a mut OwnSession),
    OneStatement(OwnedMutexGuard<LogWriterConnection>),
}

impl Locked<'_> {
    fn session(&mut self) -> &mut OwnSession {
        match self {
            Self::InTransaction(session) => session,
            Self::OneStatement(connection) => connection.within(),
        }
    }
}

/// Writes the batch with the given SQL.
async fn write(session: &mut OwnSession, sql: &str, batch: &[&Append]) -> WriteResult<Vec<i64>> {
    let (receipts, names, events) = (receipts(batch)?, names(batch)?, events(batch)?);
    let query = sqlx::query(sql).bind(receipts).bind(names).bind(events);
    let result = query.execute(session).await.map_err(|error| fault(&error))?;
    Ok(last_positions(batch, result.last_insert_rowid()))
}

/// One statement by one writer makes consecutive positions: counted back from the last.
fn last_positions(batch: &[&Append], last: i64) -> Vec<i64> {
    let all = batch.iter().map(|append| append.count()).sum::<i64>();
    let mut position = last - all;
    let next = |append: &&Append| {
        position += append.count();
        if append.events.is_empty() { 0 } else { position }
    };
    batch.iter().map(next).collect()
}

fn fault(error: &sqlx::Error) -> WriteFault {
    let Some(database) = error.as_database_error() else {
        return WriteFault::Lost(error.to_string());
    };
    let code = database.code().unwrap_or_default();
    let why = format!("{} ({code})", database.message());
    let code = code.parse::<u32>();
    if code.as_ref().is_ok_and(|code| UNSYNCED.contains(code)) {
        return WriteFault::Unsynced(why);
    }
    match code.map(|code| code & 0xff) {
        Ok(19) => WriteFault::Contended(why),
        // An error in the data, too big, a mismatch of types.
        Ok(1 | 18 | 20) => WriteFault::Data(why),
        Ok(11 | 26) => WriteFault::Damaged(why),
        // The batch may be in the file or not: a new connection finds out.
        Ok(10) => WriteFault::Lost(why),
        _ => WriteFault::Unavailable(why),
    }
}

/// A receipt that can't be read costs only the command that it belongs to.
fn corrupt(error: &StoreError) -> WriteFault {
    WriteFault::Data(error.to_string())
}

impl LogWriter for SqliteWriter {
    async fn append(&mut self, batch: &[&Append]) -> WriteResult<Vec<i64>> {
        let mut connection = lock(&self.writer).await?;
        let result = write(connection.within(), &self.insert_in_transaction, batch).await;
        if result.is_err() {
            // Where the error has ended the transaction already, this fails and closes the connection.
            drop(connection.within().transaction_control("ROLLBACK").await);
        }
        result
    }

    async fn begin(&mut self) -> WriteResult<()> {
        let mut connection = lock(&self.writer).await?;
        let began = connection.within().transaction_control("BEGIN IMMEDIATE").await;
        began.map_err(|error| fault(&error))?;
        self.in_transaction = Some(connection);
        Ok(())
    }

    async fn receipts(&mut self, batch: &[&Append]) -> WriteResult<HashMap<Uuid, Receipt>> {
        let columns = Receipt::COLUMNS;
        let sql = format!(
            "SELECT {columns} FROM receipts \
             WHERE command_id IN (SELECT unhex(value) FROM json_each($1))"
        );
        let mut connection = self.locked().await?;
        let rows = sqlx::query(&sql).bind(ids(batch)?).fetch_all(connection.session()).await;
        let rows = rows.map_err(|error| fault(&error))?;
        by_id(&rows).map_err(|error| corrupt(&error))
    }

    async fn heads(&mut self, batch: &[&Append]) -> WriteResult<Vec<i64>> {
        let sql = "SELECT coalesce((SELECT max(e.sequence) FROM events e \
                   WHERE e.aggregate_type = s.value ->> 0 AND e.aggregate_id = s.value ->> 1), 0) \
                   FROM json_each($1) AS s ORDER BY s.key";
        let mut connection = self.locked().await?;
        let query = sqlx::query_scalar(sql).bind(streams(batch)?);
        query.fetch_all(connection.session()).await.map_err(|error| fault(&error))
    }

    async fn insert(&mut self, batch: &[&Append]) -> WriteResult<Vec<i64>> {
        let mut connection = self.locked().await?;
        write(connection.session(), INSERT, batch).await
    }

    async fn commit(&mut self) -> WriteResult<()> {
        let mut connection = self.locked().await?;
        let committed = connection.session().transaction_control("COMMIT").await;
        committed.map_err(|error| fault(&error))?;
        self.in_transaction = None;
        Ok(())
    }

    async fn rollback(&mut self) {
        if let Some(mut connection) = self.in_transaction.take() {
            drop(connection.within().transaction_control("ROLLBACK").await);
        }
    }

    async fn position(&mut self, stream: &StreamId, sequence: i64) -> WriteResult<i64> {
        let sql = "SELECT position FROM events \
                   WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence = $3";
        let mut connection = self.locked().await?;
        let query = sqlx::query_scalar(sql)
            .bind(stream.kind.as_ref())
            .bind(stream.number.to_string())
            .bind(sequence);
        query.fetch_one(connection.session()).await.map_err(|error| fault(&error))
    }

    async fn reconnect(&mut self) -> WriteResult<()> {
        self.in_transaction = None;
        let reconnected = self.writer.lock().await.reconnect().await;
        reconnected.map_err(|error| WriteFault::Unavailable(error.to_string()))
    }

    /// The connection's thread ends what it began before it does anything else, so that there is nothing to close.
    fn forget_connection(&mut self) {
        self.in_transaction = None;
    }
}
