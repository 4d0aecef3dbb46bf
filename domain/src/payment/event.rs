//! What happened to one payment attempt. Wire names and versions are literals, kept for ever.
#![expect(missing_docs, reason = "each variant is explained; its fields say themselves")]

use crate::ids::{ItemNo, PaymentNo, ReservationNo};
use crate::money::Money;
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

/// A fact about one payment attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum PaymentEvent {
    /// The attempt exists; whoever appended this, and nobody else, calls the gateway's `confirm`.
    #[serde(rename = "PaymentStarted")]
    Started { payment_no: PaymentNo, reservation_no: ReservationNo, item_no: ItemNo, amount: Money },
    /// The gateway took the money.
    #[serde(rename = "PaymentApproved")]
    Approved { payment_no: PaymentNo, reservation_no: ReservationNo },
    /// The gateway did not take the money; `reason` is its code.
    #[serde(rename = "PaymentDeclined")]
    Declined { payment_no: PaymentNo, reservation_no: ReservationNo, reason: String },
    /// The gateway gave no answer in time; settling will ask it.
    #[serde(rename = "PaymentOutcomeUnknown")]
    OutcomeUnknown { payment_no: PaymentNo, reservation_no: ReservationNo },
    /// A refund is under way.
    #[serde(rename = "PaymentCancellationStarted")]
    CancellationStarted { payment_no: PaymentNo, reservation_no: ReservationNo },
    /// The gateway definitely refuses the refund; `reason` is its code. The refund waits for an
    /// operator.
    #[serde(rename = "PaymentRefundRefused")]
    RefundRefused { payment_no: PaymentNo, reservation_no: ReservationNo, reason: String },
    /// The money went back (the seed's `PaymentCanceled`).
    #[serde(rename = "PaymentCancelled")]
    Cancelled { payment_no: PaymentNo, reservation_no: ReservationNo },
}

impl PaymentEvent {
    /// The attempt that it belongs to.
    pub const fn payment_no(&self) -> PaymentNo {
        match self {
            Self::Started { payment_no, .. }
            | Self::Approved { payment_no, .. }
            | Self::Declined { payment_no, .. }
            | Self::OutcomeUnknown { payment_no, .. }
            | Self::CancellationStarted { payment_no, .. }
            | Self::Cancelled { payment_no, .. }
            | Self::RefundRefused { payment_no, .. } => *payment_no,
        }
    }
}

impl DomainEvent for PaymentEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Started { .. } => "PaymentStarted",
            Self::Approved { .. } => "PaymentApproved",
            Self::Declined { .. } => "PaymentDeclined",
            Self::OutcomeUnknown { .. } => "PaymentOutcomeUnknown",
            Self::CancellationStarted { .. } => "PaymentCancellationStarted",
            Self::RefundRefused { .. } => "PaymentRefundRefused",
            Self::Cancelled { .. } => "PaymentCancelled",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
