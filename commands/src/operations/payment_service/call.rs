//! Calls of the gateway. A charge goes under a permit of the breaker, which hears of it when the answer
//! limit ends; the call itself goes on up to its own limit. What is asked beside, nobody waits for: an
//! open breaker holds it back, but how it goes is no measure of how charges go.

use super::{LocalPayments, PaymentAttempt, PaymentService as _};
use crate::error::CommandError;
use crate::outside::{CallOutcome, Permit};
use crate::outside::{Confirmation, GatewayError};
use std::pin::pin;
use tokio::time::{Instant, timeout, timeout_at};

/// What the gateway says.
pub(super) type Said<T> = Result<T, GatewayError>;

impl LocalPayments {
    /// A refund or a question.
    pub(super) async fn ask<T>(
        &self,
        call: impl Future<Output = Said<T>> + Send,
    ) -> Result<Said<T>, CommandError> {
        drop(self.admit().await?);
        Ok(timeout(self.options.call_limit, call).await.unwrap_or_else(|_| Err(no_answer())))
    }

    /// A charge. What takes longer than its limit may have happened or not.
    pub(super) async fn call<T>(
        &self,
        permit: Permit,
        call: impl Future<Output = Said<T>> + Send,
    ) -> Said<T> {
        let (begun, mut call) = (Instant::now(), pin!(call));
        if let Ok(said) = timeout_at(begun + self.options.answer_within, &mut call).await {
            permit.record(outcome(&said));
            return said;
        }
        permit.record(CallOutcome::Slow);
        timeout_at(begun + self.options.call_limit, call).await.unwrap_or_else(|_| Err(no_answer()))
    }
}

impl LocalPayments {
    /// An answer counts only if payment, order number and amount are those of the attempt. One that
    /// differs leaves the outcome unknown, and alerts: nobody knows what the gateway did.
    pub(super) fn matching(
        &self,
        attempt: &PaymentAttempt,
        answer: &Confirmation,
    ) -> Result<(), GatewayError> {
        let asked = Confirmation {
            key: self.key(attempt.payment_no),
            payment_no: attempt.payment_no,
            amount: attempt.amount,
        };
        if *answer == asked {
            return Ok(());
        }
        tracing::error!(
            payment_no = %attempt.payment_no, ?asked, ?answer,
            "the gateway's answer is about something else than what was asked: compare the payment with its \
             books, then run `gdmarket payments settle`"
        );
        metrics::counter!("gdmarket_payment_mismatches_total").increment(1);
        Err(GatewayError::Unknown("the answer differs from what was asked".to_owned()))
    }
}

fn no_answer() -> GatewayError {
    GatewayError::Unknown("no answer".to_owned())
}

/// A definite "no" is an answer like a "yes".
const fn outcome<T>(said: &Said<T>) -> CallOutcome {
    match said {
        Ok(_) | Err(GatewayError::Declined(_)) => CallOutcome::Answered,
        Err(GatewayError::Unknown(_) | GatewayError::Unreachable(_)) => CallOutcome::Failed,
    }
}
