//! Why a command did nothing, by what the caller can do about it. The API alone knows the status
//! codes; nothing here reveals more of the inside than a caller may see.

use std::borrow::Cow;
use std::time::Duration;

/// A command that wasn't done, or whose outcome is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The aggregate refuses; a repeat of the same request is refused the same way.
    #[error("refused: {code}")]
    Refused {
        /// The stable reason.
        code: Cow<'static, str>,
        /// Whether an earlier, equal request was refused so.
        replayed: bool,
    },
    /// There is nothing with this number (any more).
    #[error("not found: {code}")]
    NotFound {
        /// The stable reason.
        code: Cow<'static, str>,
        /// Whether an earlier, equal request was answered so.
        replayed: bool,
    },
    /// This actor may not send this command here.
    #[error("the actor may not do this")]
    WrongActor,
    /// `If-Match` named another version than the current one.
    #[error("the version is {current} by now")]
    StaleVersion {
        /// The current version.
        current: i64,
    },
    /// `If-None-Match` names the current version.
    #[error("the precondition excludes version {current}")]
    ExcludedVersion {
        /// The current version.
        current: i64,
    },
    /// The idempotency key was used for another request.
    #[error("the key was used for another request")]
    KeyReused,
    /// Other commands were faster until the time to retry was over.
    #[error("other commands were faster {attempts} times")]
    Conflict {
        /// How often it was tried.
        attempts: u32,
    },
    /// The database, or a dependency behind a breaker, doesn't answer; nothing was done.
    #[error("{what} is not available")]
    Unavailable {
        /// The dependency that doesn't answer.
        what: Dependency,
        /// When it may be worth another try.
        retry_after: Duration,
        /// Why, for the log alone: callers never see it.
        cause: String,
    },
    /// The command may have been done; with the same key a repeat finds out.
    #[error("it is unknown whether the command was done")]
    OutcomeUnknown {
        /// Why, for the log alone: callers never see it.
        cause: String,
    },
    /// The stream holds an event that only a newer program understands.
    #[error("the stream was written by a newer program")]
    NewerEvent,
    /// The store takes no such data.
    #[error("the store refuses the data: {0}")]
    Rejected(String),
    /// The database is damaged, or holds what can't be read, where this command needs it. The same again
    /// succeeds once it is repaired.
    #[error("{0}")]
    Damaged(String),
    /// The log contradicts the rules, or a task panicked: it needs manual action.
    #[error("broken: {0}")]
    Broken(String),
}

/// A dependency of commands that may not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependency {
    /// The event log.
    Store,
    /// The payment gateway (`payment-unavailable`).
    Payment,
    /// The alarm (`alarm-unavailable`).
    Alarm,
}

impl std::fmt::Display for Dependency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Store => "the store",
            Self::Payment => "the payment side",
            Self::Alarm => "the alarm",
        })
    }
}

impl CommandError {
    /// A refusal by its code: what isn't there (any more) is another error than what isn't allowed.
    pub(crate) fn refused(code: impl Into<Cow<'static, str>>, replayed: bool) -> Self {
        let code = code.into();
        if code.ends_with("-not-found") {
            Self::NotFound { code, replayed }
        } else {
            Self::Refused { code, replayed }
        }
    }

    /// What it is, for the metrics.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::NotFound { .. } => "not-found",
            Self::WrongActor => "wrong-actor",
            Self::StaleVersion { .. } => "stale-version",
            Self::ExcludedVersion { .. } => "excluded-version",
            Self::KeyReused => "key-reused",
            Self::Conflict { .. } => "conflict",
            Self::Unavailable { .. } => "unavailable",
            Self::OutcomeUnknown { .. } => "outcome-unknown",
            Self::NewerEvent => "newer-event",
            Self::Rejected(_) => "rejected",
            Self::Damaged(_) => "damaged",
            Self::Broken(_) => "broken",
        }
    }

    /// The code of a refusal.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } | Self::NotFound { code, .. } => Some(code),
            _ => None,
        }
    }
}
