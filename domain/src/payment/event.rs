//! What happened to one payment attempt. Wire names are literals, kept for ever.
#![expect(missing_docs, reason = "each variant is explained; its fields say themselves")]

use crate::event_names::events;
use crate::ids::{ItemNo, PaymentNo, ReservationNo};
use crate::money::Money;

events! {
    /// A fact about one payment attempt.
    #[stream(payment_no: PaymentNo)]
    pub enum PaymentEvent {
        /// The attempt exists; the task that appended this event is the only one that calls the gateway's
        /// `confirm`.
        #[serde(rename = "PaymentStarted")]
        Started {
            payment_no: PaymentNo,
            reservation_no: ReservationNo,
            item_no: ItemNo,
            amount: Money,
        },
        /// The gateway took the money.
        #[serde(rename = "PaymentApproved")]
        Approved { payment_no: PaymentNo, reservation_no: ReservationNo },
        /// The gateway did not take the money; `reason` is its code.
        #[serde(rename = "PaymentDeclined")]
        Declined { payment_no: PaymentNo, reservation_no: ReservationNo, reason: String },
        /// The gateway gave no answer in time; settling will query it.
        #[serde(rename = "PaymentOutcomeUnknown")]
        OutcomeUnknown { payment_no: PaymentNo, reservation_no: ReservationNo },
        /// A refund is in flight.
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
}
