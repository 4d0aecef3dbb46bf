//! What is recorded on one payment attempt.
#![expect(missing_docs, reason = "each variant is explained; its fields say themselves")]

use crate::ids::{ItemNo, PaymentNo, ReservationNo};
use crate::money::Money;

/// A request to, or a fact for, one payment attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentCommand {
    /// Begin the attempt.
    Start { payment_no: PaymentNo, reservation_no: ReservationNo, item_no: ItemNo, amount: Money },
    /// Fact: the gateway took the money.
    RecordApproved,
    /// Fact: the gateway did not take the money.
    RecordDeclined { reason: String },
    /// Fact: the outcome isn't known yet.
    RecordUnknown,
    /// Begin the refund.
    Cancel,
    /// Fact: the gateway definitely refuses the refund; `reason` is its code.
    RecordRefundRefused { reason: String },
    /// Fact: the money went back.
    RecordCancelled,
}
