//! Calls of the gateway. A charge takes a permit of the breaker and records its outcome at the end of the
//! answer limit; the call itself continues up to its own limit. No renter waits for a refund or a query:
//! an open breaker holds them back, but their outcomes are no measure of how charges go.

use super::{LocalPayments, PaymentAttempt, PaymentService as _};
use crate::error::CommandError;
use crate::outside::{CallOutcome, Permit};
use crate::outside::{Confirmation, GatewayError};
use std::pin::pin;
use tokio::time::{Instant, timeout, timeout_at};

/// What the gateway answers.
pub(super) type GatewayResult<T> = Result<T, GatewayError>;

impl LocalPayments {
    /// Makes a refund or a query.
    pub(super) async fn ask<T>(
        &self,
        call: impl Future<Output = GatewayResult<T>> + Send,
    ) -> Result<GatewayResult<T>, CommandError> {
        drop(self.admit().await?);
        Ok(timeout(self.options.call_limit, call).await.unwrap_or_else(|_| Err(no_answer())))
    }

    /// Makes a charge. One that takes longer than its limit may have happened or not.
    pub(super) async fn call<T>(
        &self,
        permit: Permit,
        call: impl Future<Output = GatewayResult<T>> + Send,
    ) -> GatewayResult<T> {
        let (start, mut call) = (Instant::now(), pin!(call));
        if let Ok(answer) = timeout_at(start + self.options.answer_within, &mut call).await {
            permit.record(outcome(&answer));
            return answer;
        }
        permit.record(CallOutcome::Slow);
        timeout_at(start + self.options.call_limit, call).await.unwrap_or_else(|_| Err(no_answer()))
    }
}

impl LocalPayments {
    /// An answer counts only if payment, order number and amount are those of the attempt. One that
    /// differs leaves the outcome unknown and alerts the operator.
    pub(super) fn matching(
        &self,
        attempt: &PaymentAttempt,
        answer: &Confirmation,
    ) -> Result<(), GatewayError> {
        let expected = Confirmation {
            key: self.key(attempt.payment_no),
            payment_no: attempt.payment_no,
            amount: attempt.amount,
        };
        if *answer == expected {
            return Ok(());
        }
        tracing::error!(
            payment_no = %attempt.payment_no, ?expected, ?answer,
            "the gateway's answer doesn't match the request: compare the payment with its books, then \
             run `gdmarket payments settle`"
        );
        metrics::counter!("gdmarket_payment_mismatches_total").increment(1);
        Err(GatewayError::Unknown("the answer doesn't match the request".to_owned()))
    }
}

fn no_answer() -> GatewayError {
    GatewayError::Unknown("no answer".to_owned())
}

/// A definite "no" is an answer like a "yes".
const fn outcome<T>(answer: &GatewayResult<T>) -> CallOutcome {
    match answer {
        Ok(_) | Err(GatewayError::Declined(_)) => CallOutcome::Answered,
        Err(GatewayError::Unknown(_) | GatewayError::Unreachable(_)) => CallOutcome::Failed,
    }
}
