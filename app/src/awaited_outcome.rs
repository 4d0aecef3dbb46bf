//! The outcome of a request, computed from the log: the first decision after it. A repeat may go from "pending" to a
//! decision, and never from one decision to another.

use crate::error::UseCaseError;
use crate::use_cases::UseCases;
use gdmarket_commands::{Executed, PAYMENT_UNAVAILABLE};
use gdmarket_domain::{
    PaymentNo, Refusal as _, Reservation, ReservationError, ReservationEvent, ReservationNo,
};
use gdmarket_projections::StreamEvent;
use std::borrow::Cow;
use tokio::time::Instant;

/// The refusal of a payment that the gateway declined.
pub(crate) const PAYMENT_DECLINED: &str = "payment-declined";

/// The outcome that a request asks of a reservation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AwaitedOutcome {
    /// The item grants the period.
    Period,
    /// The reservation is cancelled.
    Cancellation,
    /// This attempt to pay is approved.
    Payment(PaymentNo),
    /// The payment is taken back.
    PaymentCancellation,
}

/// The event that decided a request.
#[derive(Debug, Clone)]
pub(crate) struct DecidedBy {
    pub(crate) sequence: i64,
    pub(crate) position: i64,
    /// Granted, or the code of the refusal.
    pub(crate) granted: Result<(), Cow<'static, str>>,
}

type Entry = StreamEvent<ReservationEvent>;

impl AwaitedOutcome {
    /// Whether this event grants or refuses the request.
    fn decided_by(self, event: &ReservationEvent) -> Option<Result<(), Cow<'static, str>>> {
        let refused = |refusal: ReservationError| Some(Err(Cow::Borrowed(refusal.code())));
        match (self, event) {
            (Self::Period, ReservationEvent::Reserved { .. })
            | (Self::Cancellation, ReservationEvent::Cancelled { .. })
            | (Self::PaymentCancellation, ReservationEvent::PaymentCancelled { .. }) => {
                Some(Ok(()))
            }
            (Self::Period, ReservationEvent::Rejected { reason, .. }) => {
                Some(Err(Cow::Owned(reason.clone())))
            }
            (Self::Period, ReservationEvent::Cancelled { .. }) => refused(ReservationError::Closed),
            (Self::Cancellation, ReservationEvent::CancellationRefused { .. })
            | (Self::PaymentCancellation, ReservationEvent::PaymentCancellationRefused { .. }) => {
                refused(ReservationError::AlreadyLent)
            }
            (Self::Payment(mine), ReservationEvent::Paid { payment_no, .. })
                if mine == *payment_no =>
            {
                Some(Ok(()))
            }
            (Self::Payment(mine), ReservationEvent::PaymentFailed { payment_no, reason, .. })
                if mine == *payment_no =>
            {
                let was_reached = reason != PAYMENT_UNAVAILABLE;
                let code = if was_reached { PAYMENT_DECLINED } else { PAYMENT_UNAVAILABLE };
                Some(Err(Cow::Borrowed(code)))
            }
            _ => None,
        }
    }

    /// Whether this event is the request that a repeat without an event joins.
    const fn is_requested_by(self, event: &ReservationEvent) -> bool {
        matches!(
            (self, event),
            (
                Self::Cancellation,
                ReservationEvent::CancellationRequested { .. } | ReservationEvent::Cancelled { .. }
            ) | (Self::PaymentCancellation, ReservationEvent::PaymentCancellationRequested { .. })
        )
    }

    fn first(self, events: &[Entry]) -> Option<DecidedBy> {
        events.iter().find_map(|Entry { sequence, position, event }| {
            let granted = self.decided_by(event)?;
            Some(DecidedBy { sequence: *sequence, position: *position, granted })
        })
    }
}

impl UseCases {
    /// The first decision after what `executed` did, if it is in the log before the deadline.
    pub(crate) async fn decision(
        &self,
        no: ReservationNo,
        executed: &Executed,
        awaited: AwaitedOutcome,
        deadline: Instant,
    ) -> Result<Option<DecidedBy>, UseCaseError> {
        let from = self.requested_at(no, executed, awaited).await?;
        loop {
            let is_last_attempt = Instant::now() >= deadline;
            let head = self.head();
            let events = self.reservation_after(no, from.saturating_sub(1)).await?;
            let decided = awaited.first(&events);
            if decided.is_some() || is_last_attempt {
                return Ok(decided);
            }
            // A decision is a reaction of another aggregate. Reading again before the reactions are done would read the
            // stream once per event of every other request.
            if self.reacted(head, deadline).await <= head {
                self.moved_past(head, deadline).await;
            }
        }
    }

    /// The sequence of the request that is to be decided: its own event, or the one that it joins.
    async fn requested_at(
        &self,
        no: ReservationNo,
        executed: &Executed,
        awaited: AwaitedOutcome,
    ) -> Result<i64, UseCaseError> {
        if executed.count > 0 {
            return Ok(executed.first_sequence);
        }
        let past = self.reservation_after(no, 0).await?;
        let mut joined = past.iter().filter(|entry| entry.sequence <= executed.version);
        let requested = joined.rfind(|entry| awaited.is_requested_by(&entry.event));
        Ok(requested.map_or(executed.version, |entry| entry.sequence))
    }

    /// The newest event of a reservation, which has at least this version.
    pub(crate) async fn newest_since(
        &self,
        no: ReservationNo,
        version: i64,
    ) -> Result<Option<Entry>, UseCaseError> {
        Ok(self.reservation_after(no, version.saturating_sub(1)).await?.pop())
    }

    async fn reservation_after(
        &self,
        no: ReservationNo,
        sequence: i64,
    ) -> Result<Vec<Entry>, UseCaseError> {
        let events = self.queries.events_of::<Reservation>(no.get(), sequence, None).await;
        events.map_err(UseCaseError::AfterWrite)
    }
}
