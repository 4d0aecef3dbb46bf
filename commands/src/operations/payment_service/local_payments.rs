//! The payment service in this process: starts attempts and waits for their outcome.
//!
//! Only the task whose own append wrote `PaymentStarted` hands the attempt to `charge.rs`; every
//! other one reads the payment's stream until it holds the outcome or the wait is over.

use super::{Attempted, PAYMENT_UNAVAILABLE, PaymentAttempt, PaymentService};
use crate::command_id::{gateway_key, process_command_id};
use crate::error::{CommandError, Dependency};
use crate::executor::{CommandMeta, CommandRequest, Execution, Executor};
use crate::operations::number_kinds;
use crate::options::PaymentOptions;
use crate::outside::PaymentGateway;
use crate::outside::{CircuitBreaker, Permit};
use async_trait::async_trait;
use gdmarket_domain::payment::{AttemptProgress, NOT_FOUND};
use gdmarket_domain::{MarketEvent, Payment, PaymentCommand, PaymentEvent, PaymentNo};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// How often a repeat that waits reads the payment's stream.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The payment service of this process.
#[derive(Clone)]
pub(crate) struct LocalPayments {
    pub(crate) executor: Executor,
    pub(crate) gateway: Arc<dyn PaymentGateway>,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) options: PaymentOptions,
    pub(crate) tracker: TaskTracker,
}

impl LocalPayments {
    /// The key under which the gateway knows this attempt.
    pub(super) fn key(&self, payment_no: PaymentNo) -> Uuid {
        gateway_key(self.executor.log_id(), payment_no.get())
    }

    /// Records a fact of the service's own; the same fact is recorded once.
    pub(super) async fn record(
        &self,
        payment_no: PaymentNo,
        fact: &'static str,
        command: &PaymentCommand,
        meta: &CommandMeta,
    ) -> Result<Execution<Payment>, CommandError> {
        let id = process_command_id(self.executor.log_id(), "payment", payment_no.get(), fact);
        let meta = meta.process("payments", id);
        let request = CommandRequest::<Payment>::new(payment_no.get(), command, &meta);
        let done = self.executor.execute(request).await?;
        // What isn't found may have been approved a moment ago.
        if fact != NOT_FOUND && done.state.contradicts(command) {
            tracing::error!(%payment_no, fact, "the gateway contradicts itself: look at its books");
            metrics::counter!("gdmarket_payment_contradictions_total").increment(1);
        }
        Ok(done)
    }

    /// Calls the gateway in a task of its own and waits for it as long as `answer_within`.
    async fn charge(
        &self,
        attempt: PaymentAttempt,
        permit: Permit,
        answer_within: Duration,
        meta: &CommandMeta,
    ) -> Attempted {
        let (sender, receiver) = oneshot::channel();
        let (service, meta) = (self.clone(), meta.clone());
        let work = async move {
            let attempted = service.confirm(attempt, permit, &meta).await;
            // The caller may be gone; the log has the outcome.
            sender.send(attempted).ok();
        };
        self.tracker.spawn(tracing::Instrument::in_current_span(work));
        match timeout(answer_within, receiver).await {
            Ok(Ok(attempted)) => attempted,
            Ok(Err(_)) | Err(_) => Attempted::Unknown,
        }
    }

    /// Whether the payment of this number is another reservation's. Then this attempt never started, and
    /// can't start any more; what another renter paid has nothing to do with it.
    pub(super) async fn is_taken(&self, attempt: &PaymentAttempt, payment: &Payment) -> bool {
        let PaymentAttempt { payment_no, reservation_no, .. } = *attempt;
        let other = payment.attempt().map(|started| started.reservation_no);
        let Some(other) = other.filter(|other| *other != reservation_no) else { return false };
        tracing::error!(
            %payment_no, %reservation_no, %other,
            "two reservations have one payment number: the attempt that didn't begin ends as failed"
        );
        // The next attempt gets a number of its own also without this, only later.
        if let Err(error) = self.executor.raise_numbers(number_kinds::PAYMENT).await {
            tracing::warn!(%error, "raising the numbers of payments");
        }
        true
    }

    /// The breaker opened between the request to pay and the call: the attempt ends unsent.
    async fn end_unsent(
        &self,
        attempt: PaymentAttempt,
        retry_after: Duration,
        meta: &CommandMeta,
    ) -> Result<Attempted, CommandError> {
        let declined = PaymentCommand::RecordDeclined { reason: PAYMENT_UNAVAILABLE.to_owned() };
        self.record(attempt.payment_no, "unsent", &declined, meta).await?;
        Ok(Attempted::Unreachable { retry_after: Some(retry_after) })
    }

    /// Reads the payment's stream until its outcome is there, as long as `answer_within`.
    pub(super) async fn wait(
        &self,
        payment_no: PaymentNo,
        answer_within: Duration,
    ) -> Result<Attempted, CommandError> {
        let deadline = Instant::now() + answer_within;
        loop {
            if let Some(attempted) = self.outcome(payment_no).await? {
                return Ok(attempted);
            }
            if Instant::now() + POLL_INTERVAL >= deadline {
                return Ok(Attempted::Unknown);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn outcome(&self, payment_no: PaymentNo) -> Result<Option<Attempted>, CommandError> {
        let payment = self.executor.fresh::<Payment>(payment_no.get()).await?;
        Ok(match payment.progress() {
            None | Some(AttemptProgress::Pending | AttemptProgress::Unknown) => None,
            Some(
                AttemptProgress::Approved
                | AttemptProgress::Cancelling
                | AttemptProgress::RefundRefused
                | AttemptProgress::Cancelled,
            ) => Some(Attempted::Approved),
            Some(AttemptProgress::Declined) => Some(self.decline(payment_no).await?),
        })
    }

    /// Why it was declined; the state doesn't keep it.
    async fn decline(&self, payment_no: PaymentNo) -> Result<Attempted, CommandError> {
        let events = self.executor.events_from::<Payment>(payment_no.get(), 1).await?;
        let reason = events.iter().rev().find_map(|event| match event {
            MarketEvent::Payment(PaymentEvent::Declined { reason, .. }) => Some(reason.as_str()),
            _ => None,
        });
        Ok(Attempted::from_reason(reason.unwrap_or_default()))
    }
}

#[async_trait]
impl PaymentService for LocalPayments {
    async fn admit(&self) -> Result<Permit, CommandError> {
        self.breaker.admit().map_err(|open| CommandError::Unavailable {
            what: Dependency::Payment,
            retry_after: open.retry_after,
            cause: "the circuit breaker of the payment gateway is open".to_owned(),
        })
    }

    async fn pay(
        &self,
        attempt: PaymentAttempt,
        permit: Option<Permit>,
        answer_within: Duration,
        meta: &CommandMeta,
    ) -> Result<Attempted, CommandError> {
        let PaymentAttempt { payment_no, reservation_no, item_no, amount } = attempt;
        let command = PaymentCommand::Start { payment_no, reservation_no, item_no, amount };
        let request = CommandRequest::<Payment>::new(payment_no.get(), &command, meta);
        let done = self.executor.execute(request).await?;
        if done.events.is_empty() {
            if self.is_taken(&attempt, &done.state).await {
                return Ok(Attempted::Unreachable { retry_after: None });
            }
            return self.wait(payment_no, answer_within).await;
        }
        let meta = self.executor.caused_by(meta.clone(), &done.executed);
        let permit = match permit {
            Some(permit) => permit,
            None => match self.breaker.admit() {
                Ok(permit) => permit,
                Err(open) => return self.end_unsent(attempt, open.retry_after, &meta).await,
            },
        };
        Ok(self.charge(attempt, permit, answer_within, &meta).await)
    }
}
