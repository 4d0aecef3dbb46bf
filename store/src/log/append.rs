//! The append of one command, and the answer to it.

mod check;

use crate::log::event::{NewEvent, StreamId};
use crate::log::personal_data::PersonalData;
use crate::log::receipt::{Receipt, ReceiptKind};
use uuid::Uuid;

pub use check::{MAX_EVENTS, MAX_METADATA, MAX_PAYLOAD};

/// The writes of one command: its events, its receipt, and names that stay outside the log. All of
/// them or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Which command this is; it has one effect, however often it is sent.
    pub command_id: Uuid,
    /// The fingerprint of its request; kept in the receipt so that a reused id is noticed.
    pub fingerprint: Vec<u8>,
    /// The stream it appends to.
    pub stream: StreamId,
    /// The sequence of the stream's last event as the decider saw it, 0 for none.
    pub expected: i64,
    /// The events, in order. Without events only the receipt is written.
    pub events: Vec<NewEvent>,
    /// A flat JSON map of strings, the same for each event.
    pub metadata: String,
    /// The outcome in its receipt.
    pub kind: ReceiptKind,
    /// The stream's person from now on; `None` changes nothing.
    pub personal: Option<PersonalData>,
}

/// An append that is stored in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The sequence of its first event; without events, the version that was decided on.
    pub first_sequence: i64,
    /// How many events.
    pub count: i64,
    /// The position of its last event, 0 without events.
    pub position: i64,
}

/// Why an append isn't in the log, or isn't known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The stream got events since it was read.
    #[error("the stream has newer events")]
    Conflict,
    /// This command was done before; here is how it ended.
    #[error("the command was done before")]
    Duplicate(Receipt),
    /// It can't be stored, and never will.
    #[error("it can't be stored: {0}")]
    Rejected(String),
    /// The database is damaged where it would be stored: nothing was written, and the same again meets the
    /// damage again until it is repaired.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The stream doesn't have the event it expects as the last one.
    #[error("the stream's predecessor is missing")]
    Gap,
    /// It may be done or not; the receipts can't be read to find out.
    #[error("it is unknown whether it was done: {0}")]
    Unknown(String),
    /// It was not done; the same again may succeed.
    #[error("the database is not available: {0}")]
    Unavailable(String),
}

impl Append {
    /// The sequence its first event gets.
    pub(crate) const fn first_sequence(&self) -> i64 {
        if self.events.is_empty() { self.expected } else { self.expected + 1 }
    }

    pub(crate) fn count(&self) -> i64 {
        i64::try_from(self.events.len()).unwrap_or(i64::MAX)
    }

    /// The answer when its last event has got this position.
    pub(crate) fn appended(&self, position: i64) -> Appended {
        Appended { first_sequence: self.first_sequence(), count: self.count(), position }
    }

    /// The receipt it leaves.
    pub(crate) fn receipt(&self) -> Receipt {
        Receipt {
            command_id: self.command_id,
            fingerprint: self.fingerprint.clone(),
            stream: self.stream.clone(),
            first_sequence: self.first_sequence(),
            count: self.count(),
            kind: self.kind.clone(),
        }
    }

    /// Its size in a batch.
    pub(crate) fn bytes(&self) -> usize {
        let events = self.events.iter();
        events.map(|event| event.payload.len() + self.metadata.len() + 128).sum::<usize>() + 256
    }
}
