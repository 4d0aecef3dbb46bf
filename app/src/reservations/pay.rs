//! Paying a reservation. Nothing is charged twice: a repeat of a request finds its attempt, and a second request
//! while one is open waits for that one's outcome.

use super::Awaited;
use crate::awaited_outcome::{AwaitedOutcome, PAYMENT_DECLINED};
use crate::context::WriteContext;
use crate::error::UseCaseError;
use crate::outcome::{WriteDecision, WriteOutcome};
use crate::use_cases::UseCases;
use crate::waiting::{DECISION_WAIT, VIEW_WAIT};
use gdmarket_commands::{Executed, PaymentOutcome, RequestedPayment};
use gdmarket_domain::ReservationNo;
use gdmarket_projections::FoundReservation;
use tokio::time::Instant;

impl UseCases {
    /// Pays a reservation; pending while the gateway's answer isn't known.
    pub async fn pay(
        &self,
        no: ReservationNo,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundReservation>, UseCaseError> {
        WriteOutcome::of(self.request_and_await_payment(no, context).await)
    }

    async fn request_and_await_payment(
        &self,
        no: ReservationNo,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundReservation>, UseCaseError> {
        let deadline = context.wait.deadline(self.options.payment_wait);
        let request = || {
            let left = deadline.saturating_duration_since(Instant::now());
            self.commands.request_payment(no, left, &context.meta)
        };
        let RequestedPayment { executed, payment_no, outcome } =
            self.once_no_payment_is_pending(deadline, request).await?;
        let Some(payment_no) = payment_no else {
            return self.paid_already(no, &executed).await;
        };
        // A known outcome is on its way to the reservation, and worth a longer wait than an unknown one.
        let wait = match outcome {
            PaymentOutcome::OutcomeUnknown => VIEW_WAIT,
            PaymentOutcome::Approved | PaymentOutcome::Declined { .. } => DECISION_WAIT,
        };
        let awaited = Awaited { outcome: AwaitedOutcome::Payment(payment_no), wait };
        let decided = self.decided_outcome(no, &executed, awaited, context).await?;
        match (&decided.decision, outcome) {
            (WriteDecision::Pending(_), PaymentOutcome::Declined { .. }) => {
                Ok(WriteOutcome::refused(PAYMENT_DECLINED, executed.replayed))
            }
            _ => Ok(decided),
        }
    }

    async fn paid_already(
        &self,
        no: ReservationNo,
        executed: &Executed,
    ) -> Result<WriteOutcome<FoundReservation>, UseCaseError> {
        let Executed { version, position, replayed, .. } = *executed;
        let decision = WriteDecision::Done(self.written_reservation(no, version).await?);
        Ok(WriteOutcome { decision, position, replayed })
    }
}
