//! What a state answers to a command, without reading or writing anything.

use super::{CommandMeta, CommandRequest};
use crate::error::CommandError;
use gdmarket_domain::{Decider, Refusal};
use gdmarket_store::{Loaded, ReceiptKind};

/// What a state answers to a command.
pub(super) enum CommandDecision<A: Decider> {
    Events(Vec<A::Event>),
    /// The aggregate is already in the requested state.
    NoChange,
    Refused {
        code: &'static str,
        /// Whether a repeat with the same key is decided again.
        is_transient: bool,
    },
    WrongActor,
    StaleVersion {
        current: i64,
    },
    ExcludedVersion {
        current: i64,
    },
}

impl<A: Decider + 'static> CommandDecision<A> {
    pub(super) fn of(loaded: &Loaded<A>, request: &CommandRequest<'_, A>) -> Self {
        let current = loaded.version();
        if !request.meta.precondition.is_matched_by(current) {
            return Self::StaleVersion { current };
        }
        if request.meta.precondition.excludes(current) {
            return Self::ExcludedVersion { current };
        }
        if !loaded.state().permits(&request.meta.actor, request.command) {
            return Self::WrongActor;
        }
        match loaded.state().decide(request.command) {
            Ok(events) if events.is_empty() => Self::NoChange,
            Ok(events) => Self::Events(events),
            Err(refusal) => {
                let code = refusal.code();
                let is_final = request.remember_transient_refusal == Some(code);
                Self::Refused { code, is_transient: refusal.is_transient() && !is_final }
            }
        }
    }

    pub(super) const fn writes(&self) -> bool {
        matches!(self, Self::Events(_))
    }

    /// The receipt that remembers this answer under a client's key; some answers aren't remembered.
    pub(super) fn receipt(&self, meta: &CommandMeta) -> Option<ReceiptKind> {
        if !meta.keyed {
            return None;
        }
        match self {
            Self::NoChange => Some(ReceiptKind::Done),
            Self::Refused { code, is_transient: false } => {
                Some(ReceiptKind::Refused((*code).to_owned()))
            }
            // A stale version stays stale and a stranger a stranger: nothing to remember.
            Self::Refused { is_transient: true, .. }
            | Self::WrongActor
            | Self::StaleVersion { .. }
            | Self::ExcludedVersion { .. }
            | Self::Events(_) => None,
        }
    }

    /// The answer, if it is an error.
    pub(super) fn into_error(self) -> Result<(), CommandError> {
        match self {
            Self::Events(_) | Self::NoChange => Ok(()),
            Self::Refused { code, .. } => Err(CommandError::refused(code, false)),
            Self::WrongActor => Err(CommandError::WrongActor),
            Self::StaleVersion { current } => Err(CommandError::StaleVersion { current }),
            Self::ExcludedVersion { current } => Err(CommandError::ExcludedVersion { current }),
        }
    }
}
