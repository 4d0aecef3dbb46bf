//! Settling: finding out what became of an attempt that nobody knows of. It asks `find` and never
//! charges; an attempt that was never begun is begun here without a `confirm`, so that nobody begins
//! it afterwards.

use super::{LocalPayments, PaymentAttempt, Settled};
use crate::error::{CommandError, Service};
use crate::executor::CommandMeta;
use crate::outside::Confirmation;
use gdmarket_domain::payment::{NOT_FOUND, Progress};
use gdmarket_domain::{MarketEvent, Payment, PaymentCommand, PaymentNo, ReservationEvent};
use std::borrow::Cow;
use std::sync::Arc;

/// The gateway answered about another payment, order or amount than it was asked about.
const PAYMENT_MISMATCH: &str = "payment-mismatch";

impl LocalPayments {
    /// Records what the gateway knows of this attempt; safe to repeat, and worth repeating after a
    /// decline, since the gateway may find a charge later. `meta.causation` is where the log asks
    /// for the payment.
    pub(crate) async fn settle(
        &self,
        payment_no: PaymentNo,
        meta: &CommandMeta,
    ) -> Result<Settled, CommandError> {
        let requested = self.requested(payment_no, meta).await?;
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
            let nobody = || CommandError::Broken(format!("nobody asked for payment {payment_no}"));
            payment = self.begin_unsent(requested.ok_or_else(nobody)?, meta).await?;
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

    /// The attempt that the cause of this settling asked for; `None` if the cause is something else.
    pub(crate) async fn requested(
        &self,
        payment_no: PaymentNo,
        meta: &CommandMeta,
    ) -> Result<Option<PaymentAttempt>, CommandError> {
        let Some((_, position)) = meta.causation else { return Ok(None) };
        Ok(match self.executor.event_at(position).await? {
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

    /// Begins an attempt that nobody began, so that a `confirm` that hasn't been sent never is, and
    /// "not found" stays true.
    async fn begin_unsent(
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

    /// Refuses to go on where the answer is about something else: an operator has to look at the
    /// gateway's books, and asking again at once would only say the same.
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
