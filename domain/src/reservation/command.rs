//! The commands of a reservation, and the facts that are recorded on it.
#![expect(missing_docs, reason = "each variant is explained; its fields say themselves")]

use crate::ids::{ItemNo, PaymentNo, PersonId, ReservationNo};
use crate::money::Money;
use crate::rental_period::RentalPeriod;
use chrono::{DateTime, NaiveDate, Utc};
use std::time::Duration;

/// A request to, or a fact for, one reservation. `pay_by` is when the time to pay ends if the
/// command leads to one; the caller computes it, since decisions read no clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReservationCommand {
    /// Reserve an item.
    Reserve {
        reservation_no: ReservationNo,
        item_no: ItemNo,
        renter_id: PersonId,
        period: Option<RentalPeriod>,
        asked_on: NaiveDate,
    },
    /// The item holds the days.
    Confirm {
        owner_id: Option<PersonId>,
        item_name: String,
        item_price: Money,
        pay_by: DateTime<Utc>,
    },
    /// The item refused; `reason` is the refusal's code.
    Reject { reason: String },
    /// Cancel the reservation.
    Cancel,
    /// Open a payment attempt.
    RequestPayment { payment_no: PaymentNo },
    /// Take the payment back, keep the reservation.
    RequestPaymentCancellation,
    /// Fact: this attempt was approved.
    RecordPaymentApproved { payment_no: PaymentNo },
    /// Fact: this attempt failed, at that time. `pay_within` is how long a reservation may stay
    /// unpaid.
    RecordPaymentFailed {
        payment_no: PaymentNo,
        reason: String,
        failed_at: DateTime<Utc>,
        pay_within: Duration,
    },
    /// Fact: the item won't be lent; the requested cancellation goes through.
    RecordLendingRevoked { pay_by: DateTime<Utc> },
    /// Fact: the item was lent before the request arrived.
    RecordRevocationRefused,
    /// Fact: the item was handed over.
    StartRental,
    /// Fact: the item was brought back.
    CompleteRental,
    /// The time to pay that ends at `pay_by` is over.
    Expire { pay_by: DateTime<Utc> },
}
