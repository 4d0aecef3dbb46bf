//! The calls that this process answers for services in other processes.

use super::commands::Commands;
use super::payment_service::{PaymentAttempt, PaymentService as _};
use crate::error::CommandError;
use crate::executor::CommandMeta;
use crate::outside::{AlarmAnswer, AttemptAnswer};
use gdmarket_domain::ItemNo;
use std::time::Duration;

impl Commands {
    /// Raises the alarm of a registration for the item service. A repeat of the same command gets the number of the
    /// first one, and raises nothing.
    pub async fn raise_alarm(
        &self,
        item_no: ItemNo,
        within: Duration,
        meta: &CommandMeta,
    ) -> Result<AlarmAnswer, CommandError> {
        let meta = meta.clone();
        self.run(move |inner| async move {
            let _lock = inner.lock_request(&meta).await;
            inner.local_alarms.raise_within(item_no, within, &meta).await
        })
        .await
    }

    /// Whether an attempt to pay would be started now.
    pub async fn admit_attempt(&self) -> Result<(), CommandError> {
        self.0.local_payments.admit().await.map(drop)
    }

    /// Starts an attempt to pay for the reservation service, or finds it started, and waits for its outcome. A number
    /// has one content for ever.
    pub async fn attempt_payment(
        &self,
        attempt: PaymentAttempt,
        within: Duration,
        meta: &CommandMeta,
    ) -> Result<AttemptAnswer, CommandError> {
        let meta = meta.clone();
        self.run(move |inner| async move {
            inner.local_payments.answer_attempt(attempt, within, &meta).await
        })
        .await
    }

    /// Waits for the outcome of an attempt to pay, and starts nothing.
    pub async fn payment_outcome(
        &self,
        attempt: PaymentAttempt,
        within: Duration,
    ) -> Result<AttemptAnswer, CommandError> {
        self.run(
            move |inner| async move { inner.local_payments.answer_outcome(attempt, within).await },
        )
        .await
    }
}
