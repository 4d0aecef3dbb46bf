//! Reserving, cancelling and paying. Another aggregate takes most of the decisions, so the outcome is the one that the
//! log has within the time that a caller should wait.

mod cancel;
mod pay;
mod reserve;

pub use reserve::{ReservationRequest, renter_of};

use crate::awaited_outcome::AwaitedOutcome;
use crate::context::WriteContext;
use crate::error::UseCaseError;
use crate::outcome::{WriteDecision, WriteOutcome};
use crate::use_cases::UseCases;
use gdmarket_commands::Executed;
use gdmarket_domain::ReservationNo;
use gdmarket_projections::{FoundReservation, NEWEST};
use std::time::Duration;

/// A decision that a request waits for.
struct Awaited {
    outcome: AwaitedOutcome,
    /// For how long.
    wait: Duration,
}

impl UseCases {
    /// The outcome of a request that another aggregate may have to decide.
    async fn decided_outcome(
        &self,
        no: ReservationNo,
        executed: &Executed,
        awaited: Awaited,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundReservation>, UseCaseError> {
        let Awaited { outcome, wait } = awaited;
        let deadline = context.wait.deadline(wait);
        let replayed = executed.replayed;
        let Some(decided) = self.decision(no, executed, outcome, deadline).await? else {
            return self.pending_outcome(no, executed).await;
        };
        self.settle_views(decided.position, context).await;
        if let Err(code) = decided.granted {
            return Ok(WriteOutcome::refused(code, replayed));
        }
        let reservation = self.written_reservation(no, decided.sequence).await?;
        let decision = WriteDecision::Done(reservation);
        Ok(WriteOutcome { decision, position: decided.position, replayed })
    }

    /// The newest state of the reservation, and the position of the event that led to it: a decision may come just after
    /// the wait for it, and a read as of this answer must not show less than the answer.
    async fn pending_outcome(
        &self,
        no: ReservationNo,
        executed: &Executed,
    ) -> Result<WriteOutcome<FoundReservation>, UseCaseError> {
        let Executed { version, position, replayed, .. } = *executed;
        let newest = self.newest_since(no, version).await?;
        let shown = newest.as_ref().map_or(NEWEST, |newest| newest.sequence);
        let position = newest.map_or(position, |newest| newest.position);
        let decision = WriteDecision::Pending(self.written_reservation(no, shown).await?);
        Ok(WriteOutcome { decision, position, replayed })
    }
}
