//! Why a payment attempt's command changes nothing.

use crate::decider::Refusal;

/// A refusal of one payment attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PaymentError {
    /// The attempt can't be where this command finds it.
    #[error("this doesn't fit the payment's history; it needs manual action by an operator")]
    OutOfOrder,
}

impl Refusal for PaymentError {
    fn code(&self) -> &'static str {
        match self {
            Self::OutOfOrder => "impossible",
        }
    }
}
