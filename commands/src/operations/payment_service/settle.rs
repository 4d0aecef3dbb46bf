//! Settling: finding out what became of an attempt whose outcome is unknown. It calls `find` and never
//! charges; an attempt that was never started is started here without a `confirm`, so that no other task
//! starts it afterwards.

use super::{LocalPayments, PaymentAttempt, Settled};
use crate::error::{CommandError, Dependency};
use crate::executor::CommandMeta;
use crate::outside::Confirmation;
use gdmarket_domain::payment::{AttemptProgress, NOT_FOUND};
use gdmarket_domain::{MarketEvent, Payment, PaymentCommand, PaymentNo, ReservationEvent};
use std::borrow::Cow;
use std::sync::Arc;

/// The gateway's answer is about another payment, order or amount than the request.
const PAYMENT_MISMATCH: &str = "payment-mismatch";

impl LocalPayments {
    /// Records what the gateway knows of this attempt; safe to repeat, and worth repeating after a
    /// decline, since the gateway may find a charge later. `requested` is the attempt that the reservation's log asks
    /// for.
    pub(crate) async fn settle(
        &self,
        payment_no: PaymentNo,
        requested: Option<PaymentAttempt>,
        meta: &CommandMeta,
    ) -> Result<Settled, CommandError> {
        let mut payment = self.executor.fresh::<Payment>(payment_no.get()).await?;
        if let Some(attempt) = &requested
            && self.is_taken(attempt, &payment).await
        {
            return Ok(Settled::NumberTaken);
        }
        if is_charged(&payment) {
            return Ok(Settled::Approved);
        }
        if payment.attempt().is_none() {
            let without_request =
                || CommandError::Broken(format!("payment {payment_no} was never requested"));
            payment = self.start_unsent(requested.ok_or_else(without_request)?, meta).await?;
        }
        match self.ask(self.gateway.find(self.key(payment_no))).await? {
            Ok(Some(answer)) => {
                self.matching_or_refused(payment.attempt(), &answer)?;
                self.record(payment_no, "approved", &PaymentCommand::RecordApproved, meta).await?;
                Ok(Settled::Approved)
            }
            Ok(None) => self.not_found(payment_no, meta).await,
            Err(_) => Err(self.unreachable()),
        }
    }

    /// The attempt that the cause of this settling requested; `None` if the cause is something else, or in another log.
    pub(crate) async fn requested(
        &self,
        payment_no: PaymentNo,
        meta: &CommandMeta,
    ) -> Result<Option<PaymentAttempt>, CommandError> {
        let Some(cause) = &meta.causation else { return Ok(None) };
        Ok(match self.executor.event_at(cause.position).await? {
            Some(MarketEvent::Reservation(ReservationEvent::PaymentRequested {
                reservation_no,
                item_no,
                payment_no: requested,
                amount,
            })) if requested == payment_no => {
                Some(PaymentAttempt { payment_no, reservation_no, item_no, amount })
            }
            _ => None,
        })
    }

    /// Starts an attempt that was never started, so that a `confirm` that hasn't been sent never is, and
    /// "not found" stays true.
    async fn start_unsent(
        &self,
        attempt: PaymentAttempt,
        meta: &CommandMeta,
    ) -> Result<Arc<Payment>, CommandError> {
        let PaymentAttempt { payment_no, reservation_no, item_no, amount } = attempt;
        let start = PaymentCommand::Start { payment_no, reservation_no, item_no, amount };
        Ok(self.record(payment_no, "settled-start", &start, meta).await?.state)
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

    /// Refuses to continue where the answer is about something else: an operator has to compare it with
    /// the gateway's books, and the same call would get the same answer.
    pub(super) fn matching_or_refused(
        &self,
        attempt: Option<&PaymentAttempt>,
        answer: &Confirmation,
    ) -> Result<(), CommandError> {
        let attempt =
            attempt.ok_or_else(|| CommandError::Broken("an answer without attempt".to_owned()))?;
        let code = Cow::Borrowed(PAYMENT_MISMATCH);
        self.matching(attempt, answer)
            .map_err(|_unknown| CommandError::Refused { code, replayed: false })
    }

    pub(super) fn unreachable(&self) -> CommandError {
        let retry_after = self.executor.retry_after();
        CommandError::Unavailable {
            what: Dependency::Payment,
            retry_after,
            cause: "the payment gateway doesn't answer".to_owned(),
        }
    }
}

fn is_charged(payment: &Payment) -> bool {
    matches!(
        payment.progress(),
        Some(
            AttemptProgress::Approved
                | AttemptProgress::Cancelling
                | AttemptProgress::RefundRefused
                | AttemptProgress::Cancelled
        )
    )
}
