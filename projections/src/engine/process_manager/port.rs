//! What a reactor takes its steps through, and how a step can end.

use async_trait::async_trait;
use uuid::Uuid;

/// Takes the steps of a manager.
#[async_trait]
pub(crate) trait Port<S>: Send + Sync + 'static {
    /// Takes a step once per command id.
    async fn take(&self, step: &S, context: CommandContext) -> Result<Handled, PortError>;
}

/// Who sends something, under which id, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandContext {
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
    /// Which log the event is in: its id and epoch, as [`gdmarket_store`] has them.
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
    /// It is already in the requested state; nothing was written.
    NoOp,
    /// The aggregate refuses, with this code.
    Refused(String),
}

/// Why it is unknown how a command ended.
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
