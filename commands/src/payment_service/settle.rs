//! Settling: finding out what became of an attempt that nobody knows of. It asks `find` and never
//! charges; an attempt that was never begun is begun here without a `confirm`, so that nobody begins
//! it afterwards.

use super::{LocalPayments, Settled};
use crate::error::{CommandError, Service};
use crate::meta::CommandMeta;
use gdmarket_domain::payment::{NOT_FOUND, Progress};
use gdmarket_domain::{MarketEvent, Payment, PaymentCommand, PaymentNo, ReservationEvent};

impl LocalPayments {
    /// Records what the gateway knows of this attempt; safe to repeat, and worth repeating after a
    /// decline, since the gateway may find a charge later. `meta.causation` is where the log asks
    /// for the payment.
    pub(crate) async fn settle(
        &self,
        payment_no: PaymentNo,
        meta: &CommandMeta,
    ) -> Result<Settled, CommandError> {
        let payment = self.executor.fresh::<Payment>(payment_no.get()).await?;
        if is_charged(&payment) {
            return Ok(Settled::Approved);
        }
        if payment.attempt().is_none() {
            self.begin_unsent(payment_no, meta).await?;
        }
        match self.ask(self.gateway.find(self.key(payment_no))).await? {
            Ok(Some(_)) => {
                self.record(payment_no, "approved", &PaymentCommand::RecordApproved, meta).await?;
                Ok(Settled::Approved)
            }
            Ok(None) => self.not_found(payment_no, meta).await,
            Err(_) => Err(self.unreachable()),
        }
    }

    /// Begins an attempt that nobody began, so that a `confirm` that hasn't been sent never is, and
    /// "not found" stays true.
    async fn begin_unsent(
        &self,
        payment_no: PaymentNo,
        meta: &CommandMeta,
    ) -> Result<(), CommandError> {
        let event = match meta.causation {
            Some((_, position)) => self.executor.event_at(position).await?,
            None => None,
        };
        let (reservation_no, item_no, amount) = match event {
            Some(MarketEvent::Reservation(ReservationEvent::PaymentRequested {
                reservation_no,
                item_no,
                payment_no: requested,
                amount,
            })) if requested == payment_no => (reservation_no, item_no, amount),
            _ => {
                return Err(CommandError::Broken(format!("nobody asked for payment {payment_no}")));
            }
        };
        let start = PaymentCommand::Start { payment_no, reservation_no, item_no, amount };
        self.record(payment_no, "settled-start", &start, meta).await?;
        Ok(())
    }

    async fn not_found(
        &self,
        payment_no: PaymentNo,
        meta: &CommandMeta,
    ) -> Result<Settled, CommandError> {
        let command = PaymentCommand::RecordDeclined { reason: NOT_FOUND.to_owned() };
        let done = self.record(payment_no, NOT_FOUND, &command, meta).await?;
        if done.state.contradicts(&command) {
            // An approval came in between, or the gateway contradicts itself.
            return Ok(Settled::Approved);
        }
        Ok(Settled::Declined)
    }

    pub(super) fn unreachable(&self) -> CommandError {
        let retry_after = self.executor.retry_after();
        CommandError::Unavailable {
            what: Service::Payment,
            retry_after,
            cause: "the payment gateway doesn't answer".to_owned(),
        }
    }
}

fn is_charged(payment: &Payment) -> bool {
    matches!(
        payment.progress(),
        Some(
            Progress::Approved
                | Progress::Cancelling
                | Progress::RefundRefused
                | Progress::Cancelled
        )
    )
}
