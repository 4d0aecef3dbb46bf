//! What the appender needs of an engine: one fast way for a batch that meets nobody, and the steps
//! of a careful one.

use crate::log::append::Append;
use crate::log::event::StreamId;
use crate::log::receipt::Receipt;
use std::collections::HashMap;
use std::future::Future;
use uuid::Uuid;

/// Why a statement of the appender failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Some command of the batch meets a row that is there, or misses one that isn't. Nothing was
    /// written.
    Contended(String),
    /// Some command's data isn't storable. Nothing was written.
    Data(String),
    /// The database won't just now. Nothing was written, and the connection lives.
    Unavailable(String),
    /// The log is damaged where this batch reads or writes. Nothing was written.
    Damaged(String),
    /// The disk failed to take what was written. It may be there or not, and nobody may look: what is in
    /// memory may not be on the disk.
    Unsynced(String),
    /// The connection is gone, and with it the answer.
    Lost(String),
}

/// Fewer words for what every step returns.
pub(crate) type Outcome<T> = Result<T, Fault>;

/// One engine's writing side, on a connection of the appender's own.
pub(crate) trait LogWriter: Send + 'static {
    /// Writes the batch, committed when it returns. The position of each command's last event, 0
    /// without events.
    fn append(&mut self, batch: &[&Append]) -> impl Future<Output = Outcome<Vec<i64>>> + Send;

    /// Begins a transaction that nobody else can append in before its end.
    fn begin(&mut self) -> impl Future<Output = Outcome<()>> + Send;

    /// Within the transaction, or without one: the receipts that these commands have.
    fn receipts(
        &mut self,
        batch: &[&Append],
    ) -> impl Future<Output = Outcome<HashMap<Uuid, Receipt>>> + Send;

    /// Within the transaction: the last sequence of each command's stream.
    fn heads(&mut self, batch: &[&Append]) -> impl Future<Output = Outcome<Vec<i64>>> + Send;

    /// Within the transaction: writes as [`LogWriter::append`] does.
    fn insert(&mut self, batch: &[&Append]) -> impl Future<Output = Outcome<Vec<i64>>> + Send;

    fn commit(&mut self) -> impl Future<Output = Outcome<()>> + Send;

    /// Ends the transaction, if there is one. What can't be rolled back is given up with its
    /// connection.
    fn rollback(&mut self) -> impl Future<Output = ()> + Send;

    /// The position of an event.
    fn position(
        &mut self,
        stream: &StreamId,
        sequence: i64,
    ) -> impl Future<Output = Outcome<i64>> + Send;

    /// Makes sure that nothing the old connection began can happen any more, and connects anew.
    fn reconnect(&mut self) -> impl Future<Output = Outcome<()>> + Send;

    /// Gives the connection up; the next use connects anew.
    fn forget_connection(&mut self);
}
