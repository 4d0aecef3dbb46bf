//! What the payment service answers to a reservation service in another process.

use super::{Attempted, LocalPayments, PaymentAttempt, PaymentService as _};
use crate::error::CommandError;
use crate::executor::CommandMeta;
use crate::operations::number_kinds;
use crate::outside::AttemptAnswer;
use gdmarket_domain::Payment;
use std::time::Duration;

impl LocalPayments {
    /// Starts this attempt, or finds it started, and waits for its outcome as long as `within`.
    pub(crate) async fn answer_attempt(
        &self,
        attempt: PaymentAttempt,
        within: Duration,
        meta: &CommandMeta,
    ) -> Result<AttemptAnswer, CommandError> {
        let attempted = self.pay(attempt, None, within, meta).await?;
        // An error now must not be taken for a refusal: the attempt is started.
        self.answer(&attempt, attempted).await.or_else(|error| {
            tracing::warn!(%error, payment_no = %attempt.payment_no, "answering an attempt to pay");
            Ok(AttemptAnswer::Unknown)
        })
    }

    /// Waits for the outcome of this attempt, and starts nothing.
    pub(crate) async fn answer_outcome(
        &self,
        attempt: PaymentAttempt,
        within: Duration,
    ) -> Result<AttemptAnswer, CommandError> {
        let attempted = self.wait(attempt.payment_no, within).await?;
        self.answer(&attempt, attempted).await
    }

    /// The answer to the service that requested this attempt. The outcome of another one is none of its business.
    async fn answer(
        &self,
        attempt: &PaymentAttempt,
        attempted: Attempted,
    ) -> Result<AttemptAnswer, CommandError> {
        let payment = self.executor.fresh::<Payment>(attempt.payment_no.get()).await?;
        Ok(match payment.attempt() {
            None => AttemptAnswer::NotStarted,
            Some(started) if started != attempt => {
                let highest = self.executor.highest_in_use(number_kinds::PAYMENT).await?;
                AttemptAnswer::NumberTaken { highest }
            }
            Some(_) => match attempted {
                Attempted::Approved => AttemptAnswer::Approved,
                Attempted::Declined { code } => AttemptAnswer::Declined { code },
                Attempted::Unknown => AttemptAnswer::Unknown,
                Attempted::Unreachable { retry_after } => AttemptAnswer::not_charged(retry_after),
            },
        })
    }
}
