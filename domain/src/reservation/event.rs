//! What happened to a reservation. Wire names are literals, kept for ever.
#![expect(missing_docs, reason = "each variant is explained; its fields say themselves")]

use crate::event_names::events;
use crate::ids::{ItemNo, PaymentNo, PersonId, ReservationNo};
use crate::money::Money;
use crate::rental_period::RentalPeriod;
use chrono::{DateTime, NaiveDate, Utc};

events! {
    /// A fact about one reservation. `pay_by` is the end of the time to pay that starts with the event.
    #[stream(reservation_no: ReservationNo)]
    pub enum ReservationEvent {
        /// A renter requested an item; without a period from `asked_on` until returned.
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
        /// The renter pays: this attempt is open until its outcome is known.
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
        /// The payment is taken back: refund that attempt; the reservation is unpaid again.
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
}
