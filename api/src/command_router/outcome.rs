//! What came of a request, computed from the log: the first outcome after it, so that a repeat may
//! go from "not yet" to an outcome, and never from one outcome to another.

use super::CommandState;
use crate::answers::StoredReservationEvent;
use crate::problem::{Problem, kind};
use gdmarket_commands::Executed;
use gdmarket_domain::{PaymentNo, ReservationEvent, ReservationNo};
use tokio::time::Instant;

/// What a request wants of a reservation.
#[derive(Debug, Clone, Copy)]
pub(super) enum AwaitedOutcome {
    /// The days.
    Days,
    /// That it is cancelled.
    Cancellation,
    /// That this attempt is approved.
    Payment(PaymentNo),
    /// That the payment is taken back.
    TakingBack,
}

/// How a request ended, by this event.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) sequence: i64,
    pub(super) position: i64,
    /// Granted, or the code of why not.
    pub(super) granted: Result<(), String>,
}

impl AwaitedOutcome {
    /// Whether this event grants or refuses it.
    fn answered_by(self, event: &ReservationEvent) -> Option<Result<(), String>> {
        let no = |kind: &kind::Kind| Some(Err(kind.code.to_owned()));
        match (self, event) {
            (Self::Days, ReservationEvent::Reserved { .. })
            | (Self::Cancellation, ReservationEvent::Cancelled { .. })
            | (Self::TakingBack, ReservationEvent::PaymentCancelled { .. }) => Some(Ok(())),
            (Self::Days, ReservationEvent::Rejected { reason, .. }) => Some(Err(reason.clone())),
            (Self::Days, ReservationEvent::Cancelled { .. }) => no(&kind::RESERVATION_CLOSED),
            (Self::Cancellation, ReservationEvent::CancellationRefused { .. })
            | (Self::TakingBack, ReservationEvent::PaymentCancellationRefused { .. }) => {
                no(&kind::ALREADY_LENT)
            }
            (Self::Payment(mine), ReservationEvent::Paid { payment_no, .. })
                if mine == *payment_no =>
            {
                Some(Ok(()))
            }
            (Self::Payment(mine), ReservationEvent::PaymentFailed { payment_no, reason, .. })
                if mine == *payment_no =>
            {
                let was_reached = reason != kind::PAYMENT_UNAVAILABLE.code;
                no(if was_reached { &kind::PAYMENT_DECLINED } else { &kind::PAYMENT_UNAVAILABLE })
            }
            _ => None,
        }
    }

    /// Whether this event is the request that a repeat without an event joins.
    const fn is_asked_by(self, event: &ReservationEvent) -> bool {
        matches!(
            (self, event),
            (
                Self::Cancellation,
                ReservationEvent::CancellationRequested { .. } | ReservationEvent::Cancelled { .. }
            ) | (Self::TakingBack, ReservationEvent::PaymentCancellationRequested { .. })
        )
    }

    fn first(self, events: &[StoredReservationEvent]) -> Option<Outcome> {
        events.iter().find_map(|told| {
            let granted = self.answered_by(&told.event)?;
            Some(Outcome { sequence: told.sequence, position: told.position, granted })
        })
    }
}

impl Outcome {
    /// The problem of a refusal; `Ok` if it was granted.
    pub(super) fn refusal(&self, replayed: bool) -> Result<(), Problem> {
        match &self.granted {
            Ok(()) => Ok(()),
            Err(code) => Err(Problem::of_code(code).replayed(replayed)),
        }
    }
}

impl CommandState {
    /// The first outcome after what `executed` did, if it is in before the time is over.
    pub(super) async fn outcome(
        &self,
        no: ReservationNo,
        executed: &Executed,
        wanted: AwaitedOutcome,
        until: Instant,
    ) -> Result<Option<Outcome>, Problem> {
        let mut from = executed.first_sequence;
        if executed.count == 0 {
            let past = self.answers.reservation_after(no, 0).await;
            let past = past.map_err(Problem::after_a_write)?;
            let joined = past.iter().filter(|told| told.sequence <= executed.version);
            let asked = joined.rev().find(|told| wanted.is_asked_by(&told.event));
            from = asked.map_or(executed.version, |told| told.sequence);
        }
        loop {
            let is_last_look = Instant::now() >= until;
            let head = self.answers.head();
            let events = self.answers.reservation_after(no, from.saturating_sub(1)).await;
            let events = events.map_err(Problem::after_a_write)?;
            let outcome = wanted.first(&events);
            if outcome.is_some() || is_last_look {
                return Ok(outcome);
            }
            // An outcome is somebody's reaction: looking again before those are through would read
            // the stream once per event of everybody else.
            if self.answers.reacted(head, 1, until).await <= head {
                self.answers.moved_past(head, until).await;
            }
        }
    }
}
