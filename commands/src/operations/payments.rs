//! Paying: the request to pay is written first, the payment service called second, the outcome returned
//! third.
//!
//! A repeat of the same request finds the attempt by its receipt and returns the first outcome that
//! the log holds after it; it never opens a second attempt. An attempt that no caller waits for any more
//! is left to the payment process: settling queries the gateway, and never charges.

use super::NUMBER_ATTEMPTS;
use crate::command_id::process_command_id;
use crate::error::{CommandError, Service};
use crate::executor::{CommandMeta, Done, Executed, Request};
use crate::operations::commands::{Commands, Inner};
use crate::operations::number_kinds;
use crate::operations::payment_service::{
    Attempted, PAYMENT_UNAVAILABLE, PaymentAttempt, PaymentOutcome, Settled,
};
use crate::outside::Permit;
use gdmarket_domain::{
    MarketEvent, PaymentNo, Reservation, ReservationCommand, ReservationEvent, ReservationNo,
};
use std::time::Duration;

/// What became of a request to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentAsked {
    /// What it did to the reservation.
    pub executed: Executed,
    /// The attempt; none if the reservation was paid already.
    pub payment_no: Option<PaymentNo>,
    /// How it ended.
    pub outcome: PaymentOutcome,
}

/// An open or ended attempt of this request.
struct RequestedAttempt {
    executed: Executed,
    attempt: PaymentAttempt,
    /// How it ended, if the log has its end.
    ended: Option<Attempted>,
    permit: Option<Permit>,
}

/// What the request to pay led to.
enum Requested {
    AlreadyPaid(Executed),
    Attempt(Box<RequestedAttempt>),
}

impl Commands {
    /// Pays a reservation, and waits for the outcome as long as `answer_within`.
    pub async fn request_payment(
        &self,
        reservation_no: ReservationNo,
        answer_within: Duration,
        meta: &CommandMeta,
    ) -> Result<PaymentAsked, CommandError> {
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
        self.run(move |inner| async move { inner.settle(payment_no, &meta).await }).await
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
    ) -> Result<PaymentAsked, CommandError> {
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
            Requested::AlreadyPaid(executed) => {
                Ok(PaymentAsked { executed, payment_no: None, outcome: PaymentOutcome::Approved })
            }
            Requested::Attempt(attempt) => self.carry_out(*attempt, answer_within, meta).await,
        }
    }

    /// Opens an attempt; a number and a permit of the breaker are taken only when they will be needed.
    async fn request_attempt(
        &self,
        reservation_no: ReservationNo,
        meta: &CommandMeta,
    ) -> Result<Requested, CommandError> {
        // Any number will do to find out whether one will be needed.
        let probe = ReservationCommand::RequestPayment { payment_no: payment_no(1)? };
        let request = Request::<Reservation>::new(reservation_no.get(), &probe, meta);
        if let Some(done) = self.executor.execute_unless_it_writes(request).await? {
            return self.requested_now(done, None).await;
        }
        let permit = self.payments.admit().await?;
        let payment_no = self.new_payment_no().await?;
        let command = ReservationCommand::RequestPayment { payment_no };
        let request = Request::<Reservation>::new(reservation_no.get(), &command, meta);
        let done = self.executor.execute(request).await?;
        self.requested_now(done, Some(permit)).await
    }

    /// A number that no payment and no other request has. The request to pay names it before the payment's
    /// stream begins, so only a lookup finds out.
    async fn new_payment_no(&self) -> Result<PaymentNo, CommandError> {
        for _ in 0..NUMBER_ATTEMPTS {
            let number = self.executor.allocate(number_kinds::PAYMENT).await?;
            if !self.executor.is_in_use(number_kinds::PAYMENT, number).await? {
                return payment_no(number);
            }
            self.executor.raise_numbers(number_kinds::PAYMENT).await?;
        }
        Err(CommandError::Conflict { attempts: NUMBER_ATTEMPTS })
    }

    async fn requested_now(
        &self,
        done: Done<Reservation>,
        permit: Option<Permit>,
    ) -> Result<Requested, CommandError> {
        let Done { executed, events, .. } = done;
        if executed.replayed {
            return self.requested_before(executed).await;
        }
        match events.into_iter().next() {
            None => Ok(Requested::AlreadyPaid(executed)),
            Some(event) => {
                let attempt = attempt(&MarketEvent::Reservation(event))?;
                Ok(Requested::Attempt(Box::new(RequestedAttempt {
                    executed,
                    attempt,
                    ended: None,
                    permit,
                })))
            }
        }
    }

    /// The attempt of an earlier, equal request, as the log has it.
    async fn requested_before(&self, executed: Executed) -> Result<Requested, CommandError> {
        if executed.count == 0 {
            return Ok(Requested::AlreadyPaid(executed));
        }
        let events = self
            .executor
            .events_from::<Reservation>(executed.number, executed.first_sequence)
            .await?;
        let (first, later) = events
            .split_first()
            .ok_or_else(|| CommandError::Broken("a receipt without its event".to_owned()))?;
        let attempt = attempt(first)?;
        let ended = later.iter().find_map(|event| ended(event, attempt.payment_no));
        Ok(Requested::Attempt(Box::new(RequestedAttempt {
            executed,
            attempt,
            ended,
            permit: None,
        })))
    }

    async fn carry_out(
        &self,
        requested: RequestedAttempt,
        answer_within: Duration,
        meta: &CommandMeta,
    ) -> Result<PaymentAsked, CommandError> {
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
        Ok(PaymentAsked { executed, payment_no: Some(attempt.payment_no), outcome })
    }

    /// An attempt whose number is another reservation's is over on the reservation's side.
    async fn settle(
        &self,
        payment_no: PaymentNo,
        meta: &CommandMeta,
    ) -> Result<Settled, CommandError> {
        let settled = self.local_payments.settle(payment_no, meta).await?;
        if settled == Settled::NumberTaken
            && let Some((_, requested_at)) = meta.causation
            && let Some(attempt) = self.local_payments.requested(payment_no, meta).await?
        {
            self.record_failed(attempt, requested_at, meta).await?;
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
            what: Service::Payment,
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
        let request = Request::<Reservation>::new(reservation_no.get(), &command, &meta);
        self.executor.execute(request).await?;
        Ok(())
    }
}

fn payment_no(number: i64) -> Result<PaymentNo, CommandError> {
    PaymentNo::new(number).map_err(|error| CommandError::Broken(error.to_string()))
}

fn attempt(event: &MarketEvent) -> Result<PaymentAttempt, CommandError> {
    match *event {
        MarketEvent::Reservation(ReservationEvent::PaymentRequested {
            reservation_no,
            item_no,
            payment_no,
            amount,
        }) => Ok(PaymentAttempt { payment_no, reservation_no, item_no, amount }),
        _ => Err(CommandError::Broken("the receipt of a payment leads elsewhere".to_owned())),
    }
}

/// How this attempt ended, if this event is its end.
fn ended(event: &MarketEvent, attempt: PaymentNo) -> Option<Attempted> {
    match event {
        MarketEvent::Reservation(ReservationEvent::Paid { payment_no, .. })
            if *payment_no == attempt =>
        {
            Some(Attempted::Approved)
        }
        MarketEvent::Reservation(ReservationEvent::PaymentFailed {
            payment_no, reason, ..
        }) if *payment_no == attempt => Some(Attempted::from_reason(reason)),
        _ => None,
    }
}
