//! Receipts: what a command did, kept under its id in the same round trip as its events. Whoever
//! meets anything but success looks here first.

use crate::db::Db;
use crate::error::StoreError;
use crate::event::StreamId;
use crate::on_db;
use sqlx::{ColumnIndex, Decode, Row, Type};
use uuid::Uuid;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptKind {
    /// Done; without events when all was so already.
    Done,
    /// Refused, with the refusal's code.
    Refused(String),
}

/// What a command id stands for once it was executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The command.
    pub command_id: Uuid,
    /// What it asked for.
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
pub struct Receipts {
    db: Db,
}

impl Receipts {
    pub(crate) const fn new(db: Db) -> Self {
        Self { db }
    }

    /// The receipt of this command, if it was ever executed to an end.
    pub async fn find(&self, command_id: Uuid) -> Result<Option<Receipt>, StoreError> {
        let sql = format!("SELECT {} FROM receipts WHERE command_id = $1", Receipt::COLUMNS);
        on_db!(&self.db, pool => {
            let query = sqlx::query(&sql).bind(command_id.as_bytes().as_slice());
            let row = query.fetch_optional(pool).await?;
            row.as_ref().map(Receipt::from_row).transpose()
        })
    }
}
