//! The port that a reactor takes its steps through, and how a step can end.

use async_trait::async_trait;
use uuid::Uuid;

/// Takes the steps of a manager.
#[async_trait]
pub(crate) trait Port<S>: Send + Sync + 'static {
    /// Takes a step once per command id.
    async fn take(&self, step: &S, context: CommandContext) -> Result<Handled, PortError>;
}

/// The sender of a command, the command's id, and its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandContext {
    /// The name of the process manager that sends the command: the actor.
    pub manager: &'static str,
    /// The id of the command: the same for every delivery of the same event.
    pub command_id: Uuid,
    /// The event behind the command.
    pub cause: Cause,
}

/// The event, or the deadline that an event set, behind a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The id that all events of one request share.
    pub correlation_id: Uuid,
    /// The log of the event: its id and epoch, as in [`gdmarket_store`].
    pub source: String,
    /// The position of the event in that log.
    pub position: i64,
    /// The W3C trace context of the event.
    pub traceparent: Option<String>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    /// The command is in the log, since now or since an earlier delivery, or the aggregate is already in the
    /// requested state.
    Done,
    /// The aggregate refused the command with this code.
    Refused(String),
}

/// Why the outcome of a command isn't known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// It failed for now: try again later.
    #[error("to be tried again: {0}")]
    Retry(String),
    /// The database is damaged where the command reads it: try again after the repair.
    #[error("{0}")]
    Damaged(String),
    /// It ended in a way that no command of a manager can, so it needs manual action.
    #[error("thought impossible: {0}")]
    Impossible(String),
    /// The aggregate was written by a newer program, so a newer program must react.
    #[error("the aggregate was written by a newer program")]
    Newer,
}
