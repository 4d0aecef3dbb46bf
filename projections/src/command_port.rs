//! How process managers send: the trait they need, and nothing of whoever implements it.
//!
//! The program implements [`CommandPort`] over the write side, so neither side knows the
//! other. An implementation repeats nothing of its own accord that isn't safe under the command id it
//! was given, and may be called again with the same id at any time, also after it answered.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gdmarket_domain::{MarketCommand, PaymentNo};
use uuid::Uuid;

/// Where process managers send their commands.
#[async_trait]
pub trait CommandPort: Send + Sync + 'static {
    /// Executes a command once per command id: a repeat answers [`Handled::Done`] like the first time,
    /// whatever the aggregate would say by now.
    async fn execute(&self, intent: Intent) -> Result<Handled, PortError>;

    /// Asks the gateway about a payment whose outcome isn't in, and records what it says; never
    /// charges. [`Handled::NoOp`] if an outcome stands already.
    async fn settle_payment(&self, number: PaymentNo, errand: Errand)
    -> Result<Handled, PortError>;

    /// Gives an attempt's money back, as a whole: begin, ask the gateway, record. Done only once the
    /// money is back; [`Handled::Refused`] when that can never be, which a person must look at.
    async fn refund_payment(&self, number: PaymentNo, errand: Errand)
    -> Result<Handled, PortError>;

    /// What time it is, for what a command says about time; deadlines use the database's clock.
    fn now(&self) -> DateTime<Utc>;
}

/// A command that a process manager means to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// What to do, and to which aggregate.
    pub command: MarketCommand,
    /// Who sends it, under which id, and why.
    pub errand: Errand,
}

/// Who sends something, under which id, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// The sending process manager's name: the actor.
    pub manager: &'static str,
    /// The same reaction to the same event has the same id, however often it is delivered.
    pub command_id: Uuid,
    /// What led to it.
    pub cause: Cause,
}

/// The event, or the deadline that an event set, behind a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What all that follows from one request has in common.
    pub correlation_id: Uuid,
    /// Which log the event is in: its id and epoch, as [`gdmarket_store`] tells them.
    pub source: String,
    /// Where the event is in that log.
    pub position: i64,
    /// The W3C trace context of the event.
    pub traceparent: Option<String>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    /// It is in the log, now or since an earlier time.
    Done,
    /// It was so already; nothing was written.
    NoOp,
    /// The aggregate refuses, with this code.
    Refused(String),
}

/// Why nobody can say how a command ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Not now: the same again later.
    #[error("to be tried again: {0}")]
    Retry(String),
    /// The database is damaged where the command needs it: the same again once it is repaired.
    #[error("{0}")]
    Damaged(String),
    /// No command of a manager's can end like this, so it needs manual action.
    #[error("thought impossible: {0}")]
    Impossible(String),
    /// The aggregate was written by a newer program, so one of those must react.
    #[error("the aggregate was written by a newer program")]
    Newer,
}
