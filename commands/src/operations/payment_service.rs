//! The border between a reservation that is paid and the service that owns its payments.
//!
//! [`PaymentService`] is all that the reservation's side may use. [`LocalPayments`] is the service itself: it alone
//! calls the gateway, one `confirm` per attempt, and writes the payment's stream. [`RemotePayments`] calls it in another
//! process, and [`AbsentPayments`] takes its place in a process that doesn't know where it is.

mod absent_payments;
mod answered_attempt;
mod call;
mod charge;
mod found_outcome;
mod local_payments;
mod refund;
mod remote_payments;
mod settle;

pub(crate) use absent_payments::AbsentPayments;
pub(crate) use found_outcome::record_found_outcome;
pub use found_outcome::{FindingDecision, FoundOutcome, PaymentFinding};
pub(crate) use local_payments::LocalPayments;
pub(crate) use remote_payments::RemotePayments;

use crate::error::CommandError;
use crate::executor::CommandMeta;
use crate::outside::Permit;
use async_trait::async_trait;
use std::time::Duration;

/// One attempt to pay one reservation: its numbers and what is charged.
pub type PaymentAttempt = gdmarket_domain::payment::StartedPayment;

/// The reason of an attempt that surely never reached the gateway.
pub const PAYMENT_UNAVAILABLE: &str = "payment-unavailable";

/// The outcome as the renter sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// The money was taken.
    Approved,
    /// It was not.
    Declined {
        /// The payment side's reason.
        code: String,
    },
    /// Not known within the answer limit; the log will have it.
    OutcomeUnknown,
}

/// What settling found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The money was taken (and may have been given back since).
    Approved,
    /// The gateway knows of no charge.
    Declined,
    /// The payment of this number is another reservation's: this attempt never began, so it was never
    /// charged, and it ended as failed.
    NumberTaken,
}

/// How an attempt went, seen from the reservation's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attempted {
    Approved,
    Declined {
        code: String,
    },
    /// Not known yet.
    Unknown,
    /// Surely not charged: the payment side was not reached.
    Unreachable {
        retry_after: Option<Duration>,
    },
}

impl Attempted {
    /// How an attempt ended that failed for this reason.
    pub(crate) fn from_reason(reason: &str) -> Self {
        if reason == PAYMENT_UNAVAILABLE {
            Self::Unreachable { retry_after: None }
        } else {
            Self::Declined { code: reason.to_owned() }
        }
    }
}

/// Where attempts are started.
#[async_trait]
pub(crate) trait PaymentService: Send + Sync + 'static {
    /// A permit for one attempt, taken before anything is written.
    async fn admit(&self) -> Result<Permit, CommandError>;

    /// Starts this attempt, or finds it started, and waits for its outcome as long as `answer_within`.
    /// Repeating it never charges again.
    async fn pay(
        &self,
        attempt: PaymentAttempt,
        permit: Option<Permit>,
        answer_within: Duration,
        meta: &CommandMeta,
    ) -> Result<Attempted, CommandError>;
}
