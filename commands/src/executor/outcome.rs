//! Pure parts of the executor: what a state says to a command, and the append that comes of it.

use super::{Done, Request};
use crate::error::CommandError;
use crate::meta::CommandMeta;
use chrono::NaiveDate;
use cqrs_es::{Aggregate, DomainEvent};
use gdmarket_domain::{Decider, Item, ItemError, Refusal, Reservation, ReservationError};
use gdmarket_store::{Append, Loaded, NewEvent, ReceiptKind, StreamId};
use std::borrow::Cow;

/// What a state says to a command.
pub(super) enum Decision<A: Decider> {
    Events(Vec<A::Event>),
    /// All is so already.
    WasSo,
    Refused(&'static str),
    WrongActor,
    StaleVersion {
        current: i64,
    },
    ExcludedVersion {
        current: i64,
    },
}

impl<A: Decider + 'static> Decision<A> {
    pub(super) fn of(loaded: &Loaded<A>, request: &Request<'_, A>) -> Self {
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
            Ok(events) if events.is_empty() => Self::WasSo,
            Ok(events) => Self::Events(events),
            Err(refusal) => Self::Refused(refusal.code()),
        }
    }

    pub(super) const fn writes(&self) -> bool {
        matches!(self, Self::Events(_))
    }

    /// How a client's key remembers this answer; some it doesn't.
    pub(super) fn receipt(&self, meta: &CommandMeta) -> Option<ReceiptKind> {
        if !meta.keyed {
            return None;
        }
        match self {
            Self::WasSo => Some(ReceiptKind::Done),
            Self::Refused(code) if is_final(code, meta) || !passes::<A>(code) => {
                Some(ReceiptKind::Refused((*code).to_owned()))
            }
            // A stale version stays stale and a stranger a stranger: nothing to remember.
            Self::Refused(_)
            | Self::WrongActor
            | Self::StaleVersion { .. }
            | Self::ExcludedVersion { .. }
            | Self::Events(_) => None,
        }
    }

    /// The answer, if it is an error.
    pub(super) fn into_error(self) -> Result<(), CommandError> {
        match self {
            Self::Events(_) | Self::WasSo => Ok(()),
            Self::Refused(code) => Err(CommandError::refused(code, false)),
            Self::WrongActor => Err(CommandError::WrongActor),
            Self::StaleVersion { current } => Err(CommandError::StaleVersion { current }),
            Self::ExcludedVersion { current } => Err(CommandError::ExcludedVersion { current }),
        }
    }
}

/// Refusals that pass by themselves: an outcome or an answer that isn't in yet, a first day that hasn't
/// come, a rental that ends, an authorisation that may be in flight. A repeat with the same key is
/// decided again.
fn passes<A: Aggregate>(code: &str) -> bool {
    let first_day = NaiveDate::MIN;
    if A::TYPE == Item::TYPE {
        let passing =
            [ItemError::NotPaid, ItemError::TooEarly { from: first_day }, ItemError::StillRented];
        return passing.iter().any(|refusal| refusal.code() == code);
    }
    let passing = [
        ReservationError::PaymentPending,
        ReservationError::CancellationPending,
        ReservationError::NotReserved,
    ];
    A::TYPE == Reservation::TYPE && passing.iter().any(|refusal| refusal.code() == code)
}

/// Whether a passing refusal is final: nobody is paying, so that the authorisation won't come.
fn is_final(code: &str, meta: &CommandMeta) -> bool {
    meta.is_last_word && code == ItemError::NotPaid.code()
}

/// The append of these events, or without events of the receipt alone.
pub(super) fn append<A: Decider + 'static>(
    loaded: &Loaded<A>,
    request: &Request<'_, A>,
    events: &[A::Event],
    kind: ReceiptKind,
) -> Result<Append, CommandError> {
    let broken = |error: serde_json::Error| CommandError::Broken(error.to_string());
    let events = events
        .iter()
        .map(|event| {
            Ok(NewEvent {
                event_type: event.event_type(),
                event_version: event.event_version(),
                payload: serde_json::to_string(event).map_err(broken)?,
            })
        })
        .collect::<Result<Vec<_>, CommandError>>()?;
    // An answer without events says nothing about anybody.
    let personal = request.personal.clone().filter(|_| !events.is_empty());
    Ok(Append {
        command_id: request.meta.command_id,
        fingerprint: request.meta.fingerprint.clone(),
        stream: StreamId { kind: Cow::Borrowed(A::TYPE), number: request.number },
        expected: loaded.version(),
        events,
        metadata: request.meta.to_json(request.note).map_err(broken)?,
        kind,
        personal,
    })
}

/// Counts how commands end.
pub(super) fn count<A: Decider>(result: &Result<Option<Done<A>>, CommandError>) {
    let outcome = match result {
        Ok(Some(done)) if done.executed.replayed => "replayed",
        Ok(Some(done)) if done.executed.count == 0 => "no-op",
        Ok(_) => "done",
        Err(error) => error.kind(),
    };
    metrics::counter!("gdmarket_commands_total", "aggregate" => A::TYPE, "outcome" => outcome)
        .increment(1);
}
