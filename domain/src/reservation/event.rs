//! What happened to a reservation. Wire names and versions are literals, kept for ever.
#![expect(missing_docs, reason = "each variant is explained; its fields say themselves")]

use crate::ids::{ItemNo, PaymentNo, PersonId, ReservationNo};
use crate::money::Money;
use crate::rental_period::RentalPeriod;
use chrono::{DateTime, NaiveDate, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

/// A fact about one reservation. `pay_by` is the end of the time to pay that starts with the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum ReservationEvent {
    /// A renter asked for an item; without a period from `asked_on` until returned.
    #[serde(rename = "ReservationRequested")]
    Requested {
        reservation_no: ReservationNo,
        item_no: ItemNo,
        renter_id: PersonId,
        period: Option<RentalPeriod>,
        asked_on: NaiveDate,
    },
    /// The item holds the days; name and price are the item's as of the hold.
    #[serde(rename = "Reserved")]
    Reserved {
        reservation_no: ReservationNo,
        item_no: ItemNo,
        owner_id: Option<PersonId>,
        item_name: String,
        item_price: Money,
        total_price: Money,
        pay_by: DateTime<Utc>,
    },
    /// The item couldn't be held; `reason` is the refusal's code.
    #[serde(rename = "ReservationRejected")]
    Rejected { reservation_no: ReservationNo, item_no: ItemNo, reason: String },
    /// Paid already, so the item decides whether it can still be cancelled.
    #[serde(rename = "ReservationCancellationRequested")]
    CancellationRequested { reservation_no: ReservationNo, item_no: ItemNo },
    /// Too late: the item was lent.
    #[serde(rename = "ReservationCancellationRefused")]
    CancellationRefused { reservation_no: ReservationNo, item_no: ItemNo },
    /// Cancelled; a payment number means: refund that attempt.
    #[serde(rename = "ReservationCancelled")]
    Cancelled { reservation_no: ReservationNo, item_no: ItemNo, payment_no: Option<PaymentNo> },
    /// The renter pays: this attempt is open until its outcome is in.
    #[serde(rename = "PaymentRequested")]
    PaymentRequested {
        reservation_no: ReservationNo,
        item_no: ItemNo,
        payment_no: PaymentNo,
        amount: Money,
    },
    /// The open attempt was approved.
    #[serde(rename = "ReservationPaid")]
    Paid { reservation_no: ReservationNo, item_no: ItemNo, payment_no: PaymentNo },
    /// The open attempt failed; `reason` is the payment side's code.
    #[serde(rename = "PaymentFailed")]
    PaymentFailed {
        reservation_no: ReservationNo,
        payment_no: PaymentNo,
        reason: String,
        pay_by: DateTime<Utc>,
    },
    /// The renter wants the money back and keeps the reservation; the item decides.
    #[serde(rename = "PaymentCancellationRequested")]
    PaymentCancellationRequested { reservation_no: ReservationNo, item_no: ItemNo },
    /// Too late: the item was lent.
    #[serde(rename = "PaymentCancellationRefused")]
    PaymentCancellationRefused { reservation_no: ReservationNo, item_no: ItemNo },
    /// The payment is taken back: refund that attempt; the reservation stands unpaid.
    #[serde(rename = "ReservationPaymentCancelled")]
    PaymentCancelled {
        reservation_no: ReservationNo,
        item_no: ItemNo,
        payment_no: PaymentNo,
        pay_by: DateTime<Utc>,
    },
    /// An attempt that is not the open one was approved: refund it, nothing else changes.
    #[serde(rename = "LatePaymentRecorded")]
    LatePaymentRecorded { reservation_no: ReservationNo, payment_no: PaymentNo },
    /// The item was handed over.
    #[serde(rename = "RentalStarted")]
    RentalStarted { reservation_no: ReservationNo, item_no: ItemNo },
    /// The item was brought back.
    #[serde(rename = "RentalCompleted")]
    RentalCompleted { reservation_no: ReservationNo, item_no: ItemNo },
    /// Not paid in time.
    #[serde(rename = "ReservationExpired")]
    Expired { reservation_no: ReservationNo, item_no: ItemNo },
}

impl ReservationEvent {
    /// The reservation that it belongs to.
    pub const fn reservation_no(&self) -> ReservationNo {
        match self {
            Self::Requested { reservation_no, .. }
            | Self::Reserved { reservation_no, .. }
            | Self::Rejected { reservation_no, .. }
            | Self::CancellationRequested { reservation_no, .. }
            | Self::CancellationRefused { reservation_no, .. }
            | Self::Cancelled { reservation_no, .. }
            | Self::PaymentRequested { reservation_no, .. }
            | Self::Paid { reservation_no, .. }
            | Self::PaymentFailed { reservation_no, .. }
            | Self::PaymentCancellationRequested { reservation_no, .. }
            | Self::PaymentCancellationRefused { reservation_no, .. }
            | Self::PaymentCancelled { reservation_no, .. }
            | Self::LatePaymentRecorded { reservation_no, .. }
            | Self::RentalStarted { reservation_no, .. }
            | Self::RentalCompleted { reservation_no, .. }
            | Self::Expired { reservation_no, .. } => *reservation_no,
        }
    }
}

impl DomainEvent for ReservationEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Requested { .. } => "ReservationRequested",
            Self::Reserved { .. } => "Reserved",
            Self::Rejected { .. } => "ReservationRejected",
            Self::CancellationRequested { .. } => "ReservationCancellationRequested",
            Self::CancellationRefused { .. } => "ReservationCancellationRefused",
            Self::Cancelled { .. } => "ReservationCancelled",
            Self::PaymentRequested { .. } => "PaymentRequested",
            Self::Paid { .. } => "ReservationPaid",
            Self::PaymentFailed { .. } => "PaymentFailed",
            Self::PaymentCancellationRequested { .. } => "PaymentCancellationRequested",
            Self::PaymentCancellationRefused { .. } => "PaymentCancellationRefused",
            Self::PaymentCancelled { .. } => "ReservationPaymentCancelled",
            Self::LatePaymentRecorded { .. } => "LatePaymentRecorded",
            Self::RentalStarted { .. } => "RentalStarted",
            Self::RentalCompleted { .. } => "RentalCompleted",
            Self::Expired { .. } => "ReservationExpired",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
