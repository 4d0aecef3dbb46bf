//! The state of a reservation, folded from its events; no rules here.

use super::{ReservationEvent, ReservationStage};
use crate::ids::{ItemNo, PaymentNo, PersonId, ReservationNo};
use crate::money::Money;
use crate::rental_period::RentalPeriod;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One renter's reservation of one item.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    request: Option<RequestedReservation>,
    terms: Option<Terms>,
    stage: ReservationStage,
    /// The ends of the time to pay, once there is one.
    #[serde(default)]
    pay_times: Option<PayTimes>,
    /// Attempts whose late approval was recorded: each starts its refund once.
    late: BTreeSet<PaymentNo>,
}

/// What was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedReservation {
    /// The reservation's number.
    pub reservation_no: ReservationNo,
    /// The requested item.
    pub item_no: ItemNo,
    /// The renter.
    pub renter_id: PersonId,
    /// For which days; `None` from `asked_on` until returned.
    pub period: Option<RentalPeriod>,
    /// The day of the request.
    pub asked_on: NaiveDate,
}

/// When the time to pay ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayTimes {
    /// By the reservation's confirmation.
    pub first: DateTime<Utc>,
    /// By what has happened since.
    pub standing: DateTime<Utc>,
}

/// What the item granted when it held the days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The item's owner.
    pub owner_id: Option<PersonId>,
    /// The item's name as of the hold.
    pub item_name: String,
    /// The price of a day as of the hold.
    pub item_price: Money,
    /// What is to be paid.
    pub total_price: Money,
}

impl Reservation {
    pub(super) fn evolve(&mut self, event: ReservationEvent) {
        self.stage = self.stage.after(&event);
        match event {
            ReservationEvent::Requested {
                reservation_no,
                item_no,
                renter_id,
                period,
                asked_on,
            } => {
                self.request = Some(RequestedReservation {
                    reservation_no,
                    item_no,
                    renter_id,
                    period,
                    asked_on,
                });
            }
            ReservationEvent::Reserved {
                owner_id,
                item_name,
                item_price,
                total_price,
                pay_by,
                ..
            } => {
                self.pay_times = Some(PayTimes { first: pay_by, standing: pay_by });
                self.terms = Some(Terms { owner_id, item_name, item_price, total_price });
            }
            ReservationEvent::PaymentFailed { pay_by, .. }
            | ReservationEvent::PaymentCancelled { pay_by, .. } => {
                if let Some(times) = &mut self.pay_times {
                    times.standing = pay_by;
                }
            }
            ReservationEvent::LatePaymentRecorded { payment_no, .. } => {
                self.late.insert(payment_no);
            }
            ReservationEvent::Rejected { .. }
            | ReservationEvent::CancellationRequested { .. }
            | ReservationEvent::CancellationRefused { .. }
            | ReservationEvent::Cancelled { .. }
            | ReservationEvent::PaymentRequested { .. }
            | ReservationEvent::Paid { .. }
            | ReservationEvent::PaymentCancellationRequested { .. }
            | ReservationEvent::PaymentCancellationRefused { .. }
            | ReservationEvent::RentalStarted { .. }
            | ReservationEvent::RentalCompleted { .. }
            | ReservationEvent::Expired { .. } => {}
        }
    }

    /// What was requested; `None` before there is a reservation.
    pub const fn request(&self) -> Option<&RequestedReservation> {
        self.request.as_ref()
    }

    /// What the item granted; `None` before it held the days.
    pub const fn terms(&self) -> Option<&Terms> {
        self.terms.as_ref()
    }

    /// When the time to pay ends; `None` before the item held the days.
    pub const fn pay_times(&self) -> Option<PayTimes> {
        self.pay_times
    }

    /// How far it has come.
    pub const fn stage(&self) -> ReservationStage {
        self.stage
    }

    /// Whether this attempt's late approval was recorded.
    pub fn is_late(&self, payment_no: PaymentNo) -> bool {
        self.late.contains(&payment_no)
    }

    pub(super) const fn is_known(&self) -> bool {
        self.request.is_some()
    }
}
