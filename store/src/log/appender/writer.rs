//! The operations that the appender needs of an engine: one statement for a batch that meets no conflict, and the steps
//! of a batch that is checked first.

use crate::log::append::Append;
use crate::log::event::StreamId;
use crate::log::receipt::Receipt;
use std::collections::HashMap;
use std::future::Future;
use uuid::Uuid;

/// Why a statement of the appender failed.
#[derive(Debug)]
pub(crate) enum WriteFault {
    /// A command of the batch conflicts with a row that exists, or misses one that doesn't. Nothing was written.
    Contended(String),
    /// A command's data can't be stored. Nothing was written.
    Data(String),
    /// The database refuses at the moment. Nothing was written, and the connection works.
    Unavailable(String),
    /// The log is damaged where this batch reads or writes. Nothing was written.
    Damaged(String),
    /// The disk failed to take the batch. It may be stored or not, and reading it proves nothing: memory may hold data
    /// that the disk lacks.
    Unsynced(String),
    /// The connection is gone, and with it the answer.
    Lost(String),
}

/// The result of every step.
pub(crate) type WriteResult<T> = Result<T, WriteFault>;

/// One engine's writing side, on a connection of the appender's own.
pub(crate) trait LogWriter: Send + 'static {
    /// Writes the batch, committed when it returns. The position of each command's last event, 0
    /// without events.
    fn append(&mut self, batch: &[&Append]) -> impl Future<Output = WriteResult<Vec<i64>>> + Send;

    /// Begins a transaction. No other writer can append before its end.
    fn begin(&mut self) -> impl Future<Output = WriteResult<()>> + Send;

    /// Within the transaction, or without one: the receipts that these commands have.
    fn receipts(
        &mut self,
        batch: &[&Append],
    ) -> impl Future<Output = WriteResult<HashMap<Uuid, Receipt>>> + Send;

    /// Within the transaction: the last sequence of each command's stream.
    fn heads(&mut self, batch: &[&Append]) -> impl Future<Output = WriteResult<Vec<i64>>> + Send;

    /// Within the transaction: writes as [`LogWriter::append`] does.
    fn insert(&mut self, batch: &[&Append]) -> impl Future<Output = WriteResult<Vec<i64>>> + Send;

    fn commit(&mut self) -> impl Future<Output = WriteResult<()>> + Send;

    /// Ends the transaction, if there is one. A connection that can't roll back is closed.
    fn rollback(&mut self) -> impl Future<Output = ()> + Send;

    /// The position of an event.
    fn position(
        &mut self,
        stream: &StreamId,
        sequence: i64,
    ) -> impl Future<Output = WriteResult<i64>> + Send;

    /// Makes sure that nothing the old connection began can happen any more, and connects again.
    fn reconnect(&mut self) -> impl Future<Output = WriteResult<()>> + Send;

    /// Forgets the connection; the next use connects again.
    fn forget_connection(&mut self);
}
