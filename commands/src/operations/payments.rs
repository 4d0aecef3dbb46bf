//! Paying: the request to pay is written first, the payment service called second, the outcome returned
//! third.
//!
//! A repeat of the same request finds the attempt by its receipt and returns the first outcome that
//! the log holds after it; it never opens a second attempt. An attempt that no caller waits for any more
//! is left to the payment process: settling queries the gateway, and never charges.

use super::commands::{Commands, Inner};
use super::payment_service::{
    Attempted, FindingDecision, PAYMENT_UNAVAILABLE, PaymentAttempt, PaymentFinding,
    PaymentOutcome, Settled, record_found_outcome,
};
use super::requested_attempt::{Requested, RequestedAttempt};
use crate::command_id::process_command_id;
use crate::error::{CommandError, Dependency};
use crate::executor::{CommandMeta, CommandRequest, Executed};
use gdmarket_domain::{Actor, PaymentNo, Reservation, ReservationCommand, ReservationNo, Service};
use std::borrow::Cow;
use std::time::Duration;

/// The payment of a requested number is another reservation's.
const PAYMENT_NUMBER_TAKEN: &str = "payment-number-taken";

/// What became of a request to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedPayment {
    /// What it did to the reservation.
    pub executed: Executed,
    /// The attempt; none if the reservation was paid already.
    pub payment_no: Option<PaymentNo>,
    /// How it ended.
    pub outcome: PaymentOutcome,
}

impl Commands {
    /// Pays a reservation, and waits for the outcome as long as `answer_within`.
    pub async fn request_payment(
        &self,
        reservation_no: ReservationNo,
        answer_within: Duration,
        meta: &CommandMeta,
    ) -> Result<RequestedPayment, CommandError> {
        let meta = meta.clone();
        self.run(move |inner| async move { inner.pay(reservation_no, answer_within, &meta).await })
            .await
    }

    /// Finds out how an attempt ended whose outcome is unknown, without ever charging. The cause in
    /// `meta` is the `PaymentRequested` event; ids and actor are the payment service's own.
    pub async fn settle_payment(
        &self,
        payment_no: PaymentNo,
        meta: &CommandMeta,
    ) -> Result<Settled, CommandError> {
        let meta = meta.clone();
        self.run(move |inner| async move {
            let requested = inner.local_payments.requested(payment_no, &meta).await?;
            inner.settle(payment_no, requested, &meta).await
        })
        .await
    }

    /// As [`Commands::settle_payment`], where the request to pay may be in another service's log.
    pub async fn settle_attempt(
        &self,
        attempt: PaymentAttempt,
        meta: &CommandMeta,
    ) -> Result<Settled, CommandError> {
        let meta = meta.clone();
        self.run(move |inner| async move {
            inner.settle(attempt.payment_no, Some(attempt), &meta).await
        })
        .await
    }

    /// Records on an operator's behalf what became of a payment, and why the operator believes it. Repeating it
    /// changes nothing. The market's processes continue from the event as from the gateway's own answer, wherever
    /// they run.
    pub async fn record_found_outcome(
        &self,
        finding: PaymentFinding,
        actor: Actor,
    ) -> Result<FindingDecision, CommandError> {
        self.run(move |inner| async move {
            record_found_outcome(&inner.executor, &finding, actor).await
        })
        .await
    }

    /// Gives the money of an approved attempt back; to be repeated as a whole until it returns `Ok`.
    /// [`CommandError::Refused`] means that the refund needs manual action.
    pub async fn refund_payment(
        &self,
        payment_no: PaymentNo,
        meta: &CommandMeta,
    ) -> Result<(), CommandError> {
        let meta = meta.clone();
        self.run(move |inner| async move { inner.local_payments.refund(payment_no, &meta).await })
            .await
    }
}

impl Inner {
    async fn pay(
        &self,
        reservation_no: ReservationNo,
        answer_within: Duration,
        meta: &CommandMeta,
    ) -> Result<RequestedPayment, CommandError> {
        let lock = self.lock_request(meta).await;
        let requested = match self.executor.done_before(meta).await? {
            Some(receipt) => {
                let executed = self.executor.replay(receipt, meta).await?;
                self.requested_before(executed).await?
            }
            None => self.request_attempt(reservation_no, meta).await?,
        };
        drop(lock);
        match requested {
            Requested::AlreadyPaid(executed) => Ok(RequestedPayment {
                executed,
                payment_no: None,
                outcome: PaymentOutcome::Approved,
            }),
            Requested::Attempt(attempt) => self.carry_out(*attempt, answer_within, meta).await,
        }
    }

    async fn carry_out(
        &self,
        requested: RequestedAttempt,
        answer_within: Duration,
        meta: &CommandMeta,
    ) -> Result<RequestedPayment, CommandError> {
        let RequestedAttempt { executed, attempt, ended, permit } = requested;
        gdmarket_store::failpoint!("commands.after-intent");
        let attempted = if let Some(attempted) = ended {
            attempted
        } else {
            let meta = self.executor.caused_by(meta.step(1), &executed);
            let attempted = self.payments.pay(attempt, permit, answer_within, &meta).await;
            // The request to pay is stored, and settling will find out what became of it.
            attempted.unwrap_or_else(|error| {
                tracing::warn!(%error, payment_no = %attempt.payment_no, "paying");
                Attempted::Unknown
            })
        };
        let outcome = match attempted {
            Attempted::Approved => PaymentOutcome::Approved,
            Attempted::Declined { code } => PaymentOutcome::Declined { code },
            Attempted::Unknown => PaymentOutcome::OutcomeUnknown,
            Attempted::Unreachable { retry_after } => {
                let requested_at = executed.position;
                return Err(self.not_paid(attempt, requested_at, retry_after, meta).await);
            }
        };
        Ok(RequestedPayment { executed, payment_no: Some(attempt.payment_no), outcome })
    }

    /// An attempt whose number is another reservation's is over on the reservation's side. Where that is another
    /// process, an operator has to end it.
    async fn settle(
        &self,
        payment_no: PaymentNo,
        requested: Option<PaymentAttempt>,
        meta: &CommandMeta,
    ) -> Result<Settled, CommandError> {
        let settled = self.local_payments.settle(payment_no, requested, meta).await?;
        if settled == Settled::NumberTaken && !self.options.services.contains(Service::Reservation)
        {
            let code = Cow::Borrowed(PAYMENT_NUMBER_TAKEN);
            return Err(CommandError::Refused { code, replayed: false });
        }
        if settled == Settled::NumberTaken
            && let Some(cause) = &meta.causation
            && let Some(attempt) = requested
        {
            self.record_failed(attempt, cause.position, meta).await?;
        }
        Ok(settled)
    }

    /// The payment side surely has no such attempt: it is over at once.
    async fn not_paid(
        &self,
        attempt: PaymentAttempt,
        requested_at: i64,
        retry_after: Option<Duration>,
        meta: &CommandMeta,
    ) -> CommandError {
        let payment_no = attempt.payment_no;
        let failed = self.record_failed(attempt, requested_at, meta).await;
        if let Err(error) = failed {
            // The payment's own outcome reaches the reservation all the same, only later.
            tracing::warn!(%error, %payment_no, "recording an unreachable payment side");
        }
        let retry_after = retry_after.unwrap_or(self.options.retry_after);
        CommandError::Unavailable {
            what: Dependency::Payment,
            retry_after,
            cause: "the payment gateway can't be reached".to_owned(),
        }
    }

    /// The failure counts from the request to pay, on the database's clock.
    async fn record_failed(
        &self,
        attempt: PaymentAttempt,
        requested_at: i64,
        meta: &CommandMeta,
    ) -> Result<(), CommandError> {
        let PaymentAttempt { payment_no, reservation_no, .. } = attempt;
        let command = ReservationCommand::RecordPaymentFailed {
            payment_no,
            reason: PAYMENT_UNAVAILABLE.to_owned(),
            failed_at: self.executor.recorded_at(requested_at).await?,
            pay_within: self.options.pay_within,
        };
        let fact = format!("payment-failed/{payment_no}");
        let id =
            process_command_id(self.executor.log_id(), "reservation", reservation_no.get(), &fact);
        let meta = meta.process("payments", id);
        let request = CommandRequest::<Reservation>::new(reservation_no.get(), &command, &meta);
        self.executor.execute(request).await?;
        Ok(())
    }
}
