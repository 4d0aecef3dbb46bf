//! The payment gateway as the market sees it: three calls, three outcomes, one key per attempt.
//!
//! The gateway is another company's: it may be slow, unreachable, or lose its answer on the way. The
//! payment service alone calls it.

use async_trait::async_trait;
use gdmarket_domain::{Money, PaymentNo, ReservationNo};
use uuid::Uuid;

/// What is charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The attempt.
    pub payment_no: PaymentNo,
    /// What it is for.
    pub reservation_no: ReservationNo,
    /// How much.
    pub amount: Money,
}

/// What the gateway reports that it took, or gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// The payment: the key that it was charged with.
    pub key: Uuid,
    /// The order number: the attempt.
    pub payment_no: PaymentNo,
    /// How much.
    pub amount: Money,
}

/// Why the gateway didn't do what was requested.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// It declines, for good; the code says why.
    #[error("the gateway declines: {0}")]
    Declined(String),
    /// It may have done it: the call was sent and no answer came.
    #[error("the gateway's answer is unknown: {0}")]
    Unknown(String),
    /// It surely has not done it: the call was never sent (connection refused).
    #[error("the gateway is unreachable: {0}")]
    Unreachable(String),
}

/// A payment gateway. Every call may be repeated with its key: the same key never charges and never
/// refunds twice. A dropped call may still have its effect.
#[async_trait]
pub trait PaymentGateway: Send + Sync + 'static {
    /// Takes the money of one attempt.
    async fn confirm(&self, key: Uuid, charge: &Charge) -> Result<Confirmation, GatewayError>;

    /// Gives the money of the attempt with this key back, all of it. An attempt that was never
    /// charged is [`GatewayError::Declined`].
    async fn cancel(&self, key: Uuid) -> Result<Confirmation, GatewayError>;

    /// Whether the attempt with this key was charged; never charges.
    async fn find(&self, key: Uuid) -> Result<Option<Confirmation>, GatewayError>;
}
