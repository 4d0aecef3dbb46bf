//! Cancelling a reservation, and taking its payment back. Both wait for an open payment first.

use super::Awaited;
use crate::awaited_outcome::AwaitedOutcome;
use crate::context::WriteContext;
use crate::error::UseCaseError;
use crate::outcome::WriteOutcome;
use crate::use_cases::UseCases;
use crate::waiting::VIEW_WAIT;
use gdmarket_domain::ReservationNo;
use gdmarket_projections::FoundReservation;

impl UseCases {
    /// Cancels a reservation; what is paid is refunded. Once it is paid, the item decides.
    pub async fn cancel_reservation(
        &self,
        no: ReservationNo,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundReservation>, UseCaseError> {
        let outcome = async {
            let deadline = context.wait.deadline(self.options.payment_wait);
            let cancel = || self.commands.cancel_reservation(no, &context.meta);
            let executed = self.once_no_payment_is_pending(deadline, cancel).await?;
            let awaited = Awaited { outcome: AwaitedOutcome::Cancellation, wait: VIEW_WAIT };
            self.decided_outcome(no, &executed, awaited, context).await
        };
        WriteOutcome::of(outcome.await)
    }

    /// Takes a payment back; the reservation stays. The item decides, and the refund follows.
    pub async fn cancel_payment(
        &self,
        no: ReservationNo,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundReservation>, UseCaseError> {
        let outcome = async {
            let deadline = context.wait.deadline(self.options.payment_wait);
            let cancel = || self.commands.cancel_payment(no, &context.meta);
            let executed = self.once_no_payment_is_pending(deadline, cancel).await?;
            let awaited = Awaited { outcome: AwaitedOutcome::PaymentCancellation, wait: VIEW_WAIT };
            self.decided_outcome(no, &executed, awaited, context).await
        };
        WriteOutcome::of(outcome.await)
    }
}
