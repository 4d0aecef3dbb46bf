//! What this process answers to services in other processes, and what it knows of the calls that it makes itself.

use crate::error::UseCaseError;
use crate::use_cases::UseCases;
use gdmarket_commands::{AlarmAnswer, AttemptAnswer, BreakerStatus, CommandMeta, PaymentAttempt};
use gdmarket_domain::ItemNo;
use std::time::Duration;

impl UseCases {
    /// Raises the alarm of a registration for the item service.
    pub async fn raise_alarm(
        &self,
        item_no: ItemNo,
        within: Duration,
        meta: &CommandMeta,
    ) -> Result<AlarmAnswer, UseCaseError> {
        Ok(self.commands.raise_alarm(item_no, within, meta).await?)
    }

    /// Whether an attempt to pay would be started now.
    pub async fn admit_attempt(&self) -> Result<(), UseCaseError> {
        Ok(self.commands.admit_attempt().await?)
    }

    /// Starts an attempt to pay for the reservation service, and waits for its outcome.
    pub async fn attempt_payment(
        &self,
        attempt: PaymentAttempt,
        within: Duration,
        meta: &CommandMeta,
    ) -> Result<AttemptAnswer, UseCaseError> {
        Ok(self.commands.attempt_payment(attempt, within, meta).await?)
    }

    /// Waits for the outcome of an attempt to pay.
    pub async fn payment_outcome(
        &self,
        attempt: PaymentAttempt,
        within: Duration,
    ) -> Result<AttemptAnswer, UseCaseError> {
        Ok(self.commands.payment_outcome(attempt, within).await?)
    }

    /// The breakers of the calls that the services of this process make.
    pub fn breaker_states(&self) -> Vec<BreakerStatus> {
        self.commands.breaker_states()
    }
}
