//! Receipts: the outcome of a command, stored under its id together with its events. A caller whose append fails looks
//! for the receipt first.

use crate::db::connection_guard::ConnectionGuard;
use crate::db::shared_reads::{ReadMany, SharedReads};
use crate::db::sticky_connection::StickyReader;
use crate::db::tasks::Tasks;
use crate::db::{Db, Tx};
use crate::error::StoreError;
use crate::log::event::StreamId;
use sqlx::{ColumnIndex, Decode, Row, Type};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptKind {
    /// Done; without events when the stream was already in the requested state.
    Done,
    /// Refused, with the refusal's code.
    Refused(String),
}

impl ReceiptKind {
    /// The refusal's code, if it is one.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Done => None,
            Self::Refused(code) => Some(code),
        }
    }
}

/// The outcome of a command, by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The command.
    pub command_id: Uuid,
    /// The fingerprint of its request.
    pub fingerprint: Vec<u8>,
    /// The stream it was for.
    pub stream: StreamId,
    /// The sequence of its first event; without events, the version it was decided on.
    pub first_sequence: i64,
    /// How many events it appended.
    pub count: i64,
    /// How it ended.
    pub kind: ReceiptKind,
}

impl Receipt {
    /// The columns [`Receipt::from_row`] reads, in its order.
    pub(crate) const COLUMNS: &'static str = "command_id, fingerprint, aggregate_type, \
         aggregate_id, first_sequence, event_count, refusal";

    pub(crate) fn from_row<'r, R>(row: &'r R) -> Result<Self, StoreError>
    where
        R: Row,
        usize: ColumnIndex<R>,
        i64: Decode<'r, R::Database> + Type<R::Database>,
        String: Decode<'r, R::Database> + Type<R::Database>,
        Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
        &'r str: Decode<'r, R::Database> + Type<R::Database>,
        &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
    {
        let command_id = Uuid::from_slice(row.try_get(0)?)
            .map_err(|error| StoreError::Corrupt(format!("a receipt's command id: {error}")))?;
        let refusal: Option<String> = row.try_get(6)?;
        Ok(Self {
            command_id,
            fingerprint: row.try_get(1)?,
            stream: StreamId::parse(row.try_get(2)?, row.try_get(3)?)?,
            first_sequence: row.try_get(4)?,
            count: row.try_get(5)?,
            kind: refusal.map_or(ReceiptKind::Done, ReceiptKind::Refused),
        })
    }
}

/// The receipts in the log.
#[derive(Debug, Clone)]
pub struct Receipts(SharedReads<ById>);

impl Receipts {
    pub(crate) fn start(db: &Db, guard: &Arc<dyn ConnectionGuard>, tasks: &Tasks) -> Self {
        Self(SharedReads::start(ById, db, guard, tasks))
    }

    /// The receipt of this command, if it was ever executed to an end. Reads that wait at the same time share a query.
    pub async fn find(&self, command_id: Uuid) -> Result<Option<Receipt>, StoreError> {
        self.0.read(command_id).await
    }
}

/// Receipts by their command's id.
#[derive(Debug)]
struct ById;

impl ReadMany for ById {
    type Key = Uuid;
    type Answer = Option<Receipt>;
    const CONCURRENCY: usize = 1;

    async fn read(
        &self,
        reader: &mut StickyReader,
        ids: &[Uuid],
    ) -> Result<Vec<Option<Receipt>>, StoreError> {
        let columns = Receipt::COLUMNS;
        let found = match reader {
            StickyReader::Postgres(connection) => {
                let sql = format!("SELECT {columns} FROM receipts WHERE command_id = ANY($1)");
                let ids: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
                by_id(&sqlx::query(&sql).bind(ids).fetch_all(connection.get().await?).await?)?
            }
            StickyReader::Sqlite(connection) => {
                let sql = format!(
                    "SELECT {columns} FROM receipts \
                     WHERE command_id IN (SELECT unhex(value) FROM json_each($1))"
                );
                let ids: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
                let ids = serde_json::to_string(&ids)
                    .map_err(|error| StoreError::Rejected(error.to_string()))?;
                by_id(&sqlx::query(&sql).bind(ids).fetch_all(connection.get().await?).await?)?
            }
        };
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }
}

/// The refusals that are the receipts of these commands; `None` for a command that was done.
pub(crate) async fn outcomes(
    log: &mut Tx,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Option<String>>, StoreError> {
    let found: Vec<(Vec<u8>, Option<String>)> = match log {
        Tx::Postgres(tx) => {
            let ids: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
            let sql = "SELECT command_id, refusal FROM receipts WHERE command_id = ANY($1)";
            sqlx::query_as(sql).bind(ids).fetch_all(&mut **tx).await?
        }
        Tx::Sqlite(tx) => {
            let ids: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
            let ids = serde_json::to_string(&ids)
                .map_err(|error| StoreError::Rejected(error.to_string()))?;
            let sql = "SELECT command_id, refusal FROM receipts \
                       WHERE command_id IN (SELECT unhex(value) FROM json_each($1))";
            sqlx::query_as(sql).bind(ids).fetch_all(&mut **tx).await?
        }
    };
    let outcome = |(id, refusal): (Vec<u8>, Option<String>)| {
        Uuid::from_slice(&id).ok().map(|id| (id, refusal))
    };
    Ok(found.into_iter().filter_map(outcome).collect())
}

/// Receipts by their command's id, from rows of [`Receipt::COLUMNS`].
pub(crate) fn by_id<'r, R>(rows: &'r [R]) -> Result<HashMap<Uuid, Receipt>, StoreError>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
    &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
{
    let receipts = rows.iter().map(|row| {
        let receipt = Receipt::from_row(row)?;
        Ok((receipt.command_id, receipt))
    });
    receipts.collect()
}
