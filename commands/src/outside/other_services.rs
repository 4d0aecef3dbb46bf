//! The calls to services that are in other processes, as the calling side sees them. A caller waits for each of them.
//!
//! Every call is safe to repeat: raising by its command id, an attempt by its payment number.

use super::CallOutcome;
use super::service_messages::{AlarmAnswer, AttemptAnswer};
use crate::executor::CommandMeta;
use async_trait::async_trait;
use gdmarket_domain::ItemNo;
use gdmarket_domain::payment::StartedPayment;
use std::time::Duration;

/// Why a call to another service has no answer to act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceCallError {
    /// Nothing was done: no connection came about, so the request was not sent.
    #[error("the service can't be reached: {0}")]
    NotReached(String),
    /// Nothing was done: the service refuses before it begins.
    #[error("the service refuses: {cause}")]
    Refused {
        /// The code of the problem; empty if there is none.
        code: String,
        /// The answer, for the log.
        cause: String,
        /// When another try may succeed.
        retry_after: Option<Duration>,
    },
    /// It may have been done: the connection ended, or the answer makes no sense.
    #[error("no usable answer: {0}")]
    NoAnswer(String),
    /// It may have been done: there was no answer within the limit.
    #[error("no answer in time: {0}")]
    TimedOut(String),
}

/// The codes with which a service refuses because what it depends on itself doesn't answer.
const DEPENDENCY_UNAVAILABLE: [&str; 2] = ["payment-unavailable", "alarm-unavailable"];

impl ServiceCallError {
    /// Whether the call surely had no effect.
    pub const fn is_without_effect(&self) -> bool {
        matches!(self, Self::NotReached(_) | Self::Refused { .. })
    }

    /// When another try may succeed, if the service named a time.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::NotReached(_) | Self::NoAnswer(_) | Self::TimedOut(_) => None,
        }
    }

    /// The call as the breaker counts it. A service whose own breaker is open is well, and protects itself.
    pub fn outcome(&self) -> CallOutcome {
        match self {
            Self::Refused { code, .. } if DEPENDENCY_UNAVAILABLE.contains(&code.as_str()) => {
                CallOutcome::Answered
            }
            Self::NotReached(_) | Self::Refused { .. } | Self::NoAnswer(_) => CallOutcome::Failed,
            Self::TimedOut(_) => CallOutcome::Slow,
        }
    }
}

/// The alarm service in another process.
#[async_trait]
pub trait RemoteAlarmService: Send + Sync + 'static {
    /// Raises the alarm for a registration. A repeat of the same command gets the item number of the first one.
    async fn raise(
        &self,
        item_no: ItemNo,
        within: Duration,
        meta: &CommandMeta,
    ) -> Result<AlarmAnswer, ServiceCallError>;
}

/// The payment service in another process.
#[async_trait]
pub trait RemotePaymentService: Send + Sync + 'static {
    /// Whether it would begin an attempt now; asked before the request to pay is written.
    async fn admission(&self, within: Duration) -> Result<(), ServiceCallError>;

    /// Starts this attempt, or finds it started, and waits for its outcome.
    async fn attempt(
        &self,
        attempt: &StartedPayment,
        within: Duration,
        meta: &CommandMeta,
    ) -> Result<AttemptAnswer, ServiceCallError>;

    /// Waits for the outcome of this attempt, and starts nothing.
    async fn outcome(
        &self,
        attempt: &StartedPayment,
        within: Duration,
    ) -> Result<AttemptAnswer, ServiceCallError>;
}
