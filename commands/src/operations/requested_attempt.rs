//! The request to pay: it opens an attempt, or finds the one that an earlier, equal request opened.

use super::NUMBER_ATTEMPTS;
use super::commands::Inner;
use super::number_kinds;
use super::payment_service::{Attempted, PaymentAttempt};
use crate::error::CommandError;
use crate::executor::{CommandMeta, CommandRequest, Executed, Execution};
use crate::outside::Permit;
use gdmarket_domain::{
    MarketEvent, PaymentNo, Reservation, ReservationCommand, ReservationEvent, ReservationNo,
};

/// An open or ended attempt of this request.
pub(super) struct RequestedAttempt {
    pub(super) executed: Executed,
    pub(super) attempt: PaymentAttempt,
    /// How it ended, if the log has its end.
    pub(super) ended: Option<Attempted>,
    pub(super) permit: Option<Permit>,
}

/// What the request to pay led to.
pub(super) enum Requested {
    AlreadyPaid(Executed),
    Attempt(Box<RequestedAttempt>),
}

impl Inner {
    /// Opens an attempt; a number and a permit of the breaker are taken only when they will be needed.
    pub(super) async fn request_attempt(
        &self,
        reservation_no: ReservationNo,
        meta: &CommandMeta,
    ) -> Result<Requested, CommandError> {
        // Any number will do to find out whether one will be needed.
        let probe = ReservationCommand::RequestPayment { payment_no: payment_no(1)? };
        let request = CommandRequest::<Reservation>::new(reservation_no.get(), &probe, meta);
        if let Some(done) = self.executor.execute_unless_it_writes(request).await? {
            return self.requested_now(done, None).await;
        }
        let permit = self.payments.admit().await?;
        let payment_no = self.new_payment_no().await?;
        let command = ReservationCommand::RequestPayment { payment_no };
        let request = CommandRequest::<Reservation>::new(reservation_no.get(), &command, meta);
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
        done: Execution<Reservation>,
        permit: Option<Permit>,
    ) -> Result<Requested, CommandError> {
        let Execution { executed, events, .. } = done;
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
    pub(super) async fn requested_before(
        &self,
        executed: Executed,
    ) -> Result<Requested, CommandError> {
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
