//! The payment service in another process.
//!
//! Before anything is written it is asked whether it would begin an attempt. A call that surely had no effect ends an
//! attempt that was requested a moment ago; every other failure leaves the outcome unknown. Then the service is asked for
//! it, and what that doesn't find out arrives with the service's events.

use super::{Attempted, PaymentAttempt, PaymentService};
use crate::error::{CommandError, Dependency};
use crate::executor::{CommandMeta, Executor};
use crate::operations::number_kinds;
use crate::outside::{
    AttemptAnswer, CallOutcome, CircuitBreaker, Permit, RemotePaymentService, ServiceCallError,
};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// With less time than this the outcome isn't asked for.
const SHORTEST_QUERY: Duration = Duration::from_millis(20);

/// The payment service at an address.
pub(crate) struct RemotePayments {
    pub(crate) service: Arc<dyn RemotePaymentService>,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) executor: Executor,
    /// How long the question whether it admits an attempt may take.
    pub(crate) answer_within: Duration,
}

impl RemotePayments {
    fn unavailable(&self, retry_after: Option<Duration>, cause: String) -> CommandError {
        let retry_after = retry_after.unwrap_or_else(|| self.executor.retry_after());
        CommandError::Unavailable { what: Dependency::Payment, retry_after, cause }
    }

    /// What the reservation's side learns from an answer.
    async fn attempted(&self, answer: AttemptAnswer) -> Result<Attempted, CommandError> {
        Ok(match answer {
            AttemptAnswer::Approved => Attempted::Approved,
            AttemptAnswer::Declined { code } => Attempted::from_reason(&code),
            AttemptAnswer::Unknown | AttemptAnswer::NotStarted => Attempted::Unknown,
            AttemptAnswer::NotCharged { retry_after_ms } => {
                Attempted::Unreachable { retry_after: retry_after_ms.map(Duration::from_millis) }
            }
            AttemptAnswer::NumberTaken { highest } => {
                self.executor.raise_numbers_to(number_kinds::PAYMENT, highest).await?;
                Attempted::Unreachable { retry_after: None }
            }
        })
    }

    /// The outcome of an attempt whose call has no answer, if the service has it in the time that is left.
    async fn found(
        &self,
        attempt: &PaymentAttempt,
        until: Instant,
    ) -> Result<Attempted, CommandError> {
        let left = until.saturating_duration_since(Instant::now());
        if left < SHORTEST_QUERY {
            return Ok(Attempted::Unknown);
        }
        match self.service.outcome(attempt, left).await {
            Ok(answer) => self.attempted(answer).await,
            Err(error) => {
                let payment_no = attempt.payment_no;
                tracing::warn!(%error, %payment_no, "asking for the outcome of a payment");
                Ok(Attempted::Unknown)
            }
        }
    }
}

#[async_trait]
impl PaymentService for RemotePayments {
    async fn admit(&self) -> Result<Permit, CommandError> {
        let permit = self.breaker.admit().map_err(|open| {
            let cause = "the circuit breaker of the payment service is open".to_owned();
            self.unavailable(Some(open.retry_after), cause)
        })?;
        match self.service.admission(self.answer_within).await {
            Ok(()) => Ok(permit),
            Err(error) => {
                permit.record(error.outcome());
                Err(self.unavailable(error.retry_after(), format!("the payment service: {error}")))
            }
        }
    }

    async fn pay(
        &self,
        attempt: PaymentAttempt,
        permit: Option<Permit>,
        answer_within: Duration,
        meta: &CommandMeta,
    ) -> Result<Attempted, CommandError> {
        let until = Instant::now() + answer_within;
        // An earlier, equal request may have sent the attempt: that this one is not sent says nothing of it.
        let is_first_call = permit.is_some();
        let Some(permit) = permit.or_else(|| self.breaker.admit().ok()) else {
            return Ok(Attempted::Unknown);
        };
        let answer = self.service.attempt(&attempt, answer_within, meta).await;
        permit.record(call_outcome(&answer));
        let payment_no = attempt.payment_no;
        match answer {
            Ok(answer) => self.attempted(answer).await,
            Err(error) if error.is_without_effect() && is_first_call => {
                tracing::warn!(%error, %payment_no, "an attempt to pay was not started");
                Ok(Attempted::Unreachable { retry_after: error.retry_after() })
            }
            Err(error) => {
                tracing::warn!(%error, %payment_no, "the outcome of an attempt to pay is unknown");
                self.found(&attempt, until).await
            }
        }
    }
}

/// An answer without the outcome used up all the time that there was.
fn call_outcome(answer: &Result<AttemptAnswer, ServiceCallError>) -> CallOutcome {
    match answer {
        Ok(AttemptAnswer::Unknown) => CallOutcome::Slow,
        Ok(_) => CallOutcome::Answered,
        Err(error) => error.outcome(),
    }
}
