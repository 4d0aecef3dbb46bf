//! The decisions about a reservation's payment attempts. Each names its attempt: an approval of any
//! but the open one is late, changes nothing else and starts that attempt's refund.

use super::{
    Cancelling, PayTimes, Request, Reservation, ReservationError, ReservationEvent, Stage,
};
use crate::decider::{Decision, no_change};
use crate::ids::PaymentNo;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// How long a renter whose attempt failed has at least to pay again, while the limit allows it.
pub const PAY_AGAIN_WITHIN: Duration = Duration::from_mins(5);

/// A payment attempt that failed.
pub(super) struct Failure<'a> {
    pub(super) payment_no: PaymentNo,
    pub(super) reason: &'a str,
    pub(super) failed_at: DateTime<Utc>,
    pub(super) pay_within: Duration,
}

pub(super) fn request_payment(
    reservation: &Reservation,
    request: &Request,
    payment_no: PaymentNo,
) -> Decision<Reservation> {
    match reservation.stage() {
        Stage::Requested => Err(ReservationError::NotReserved),
        Stage::Unpaid { .. } => {
            let terms = reservation.terms().ok_or(ReservationError::OutOfOrder)?;
            Ok(vec![ReservationEvent::PaymentRequested {
                reservation_no: request.reservation_no,
                item_no: request.item_no,
                payment_no,
                amount: terms.total_price,
            }])
        }
        Stage::PaymentOpen { .. } => Err(ReservationError::PaymentPending),
        Stage::CancellationPending { .. } => Err(ReservationError::CancellationPending),
        Stage::Paid { .. } | Stage::Renting { .. } | Stage::Completed { .. } => no_change(),
        Stage::Rejected | Stage::Cancelled | Stage::Expired => Err(ReservationError::Closed),
        Stage::New => Err(ReservationError::NotFound),
    }
}

pub(super) fn request_payment_cancellation(
    stage: Stage,
    request: &Request,
) -> Decision<Reservation> {
    let Request { reservation_no, item_no, .. } = *request;
    match stage {
        Stage::Requested | Stage::Unpaid { .. } => Err(ReservationError::NotPaid),
        Stage::PaymentOpen { .. } => Err(ReservationError::PaymentPending),
        Stage::Paid { .. } => {
            Ok(vec![ReservationEvent::PaymentCancellationRequested { reservation_no, item_no }])
        }
        Stage::CancellationPending { request: Cancelling::Payment, .. } => no_change(),
        Stage::CancellationPending { request: Cancelling::Reservation, .. } => {
            Err(ReservationError::CancellationPending)
        }
        Stage::Renting { .. } => Err(ReservationError::AlreadyLent),
        Stage::Completed { .. } | Stage::Rejected | Stage::Cancelled | Stage::Expired => {
            Err(ReservationError::Closed)
        }
        Stage::New => Err(ReservationError::NotFound),
    }
}

pub(super) fn record_payment_approved(
    reservation: &Reservation,
    request: &Request,
    approved: PaymentNo,
) -> Decision<Reservation> {
    match reservation.stage() {
        Stage::PaymentOpen { payment_no } if payment_no == approved => {
            Ok(vec![ReservationEvent::Paid {
                reservation_no: request.reservation_no,
                item_no: request.item_no,
                payment_no,
            }])
        }
        Stage::Paid { payment_no }
        | Stage::CancellationPending { payment_no, .. }
        | Stage::Renting { payment_no, .. }
        | Stage::Completed { payment_no, .. }
            if payment_no == approved =>
        {
            no_change()
        }
        Stage::Requested
        | Stage::Unpaid { .. }
        | Stage::PaymentOpen { .. }
        | Stage::Paid { .. }
        | Stage::CancellationPending { .. }
        | Stage::Renting { .. }
        | Stage::Completed { .. }
        | Stage::Rejected
        | Stage::Cancelled
        | Stage::Expired => late(reservation, request, approved),
        Stage::New => Err(ReservationError::OutOfOrder),
    }
}

/// Once per attempt: the refund it starts needs no second start.
fn late(
    reservation: &Reservation,
    request: &Request,
    payment_no: PaymentNo,
) -> Decision<Reservation> {
    if reservation.is_late(payment_no) {
        return no_change();
    }
    let reservation_no = request.reservation_no;
    Ok(vec![ReservationEvent::LatePaymentRecorded { reservation_no, payment_no }])
}

/// A failure whose time to pay is over already ends the reservation in the same step: else the next
/// attempt of the same bad card could always come before the deadline.
pub(super) fn record_payment_failed(
    reservation: &Reservation,
    request: &Request,
    failure: &Failure<'_>,
) -> Decision<Reservation> {
    let Request { reservation_no, item_no, .. } = *request;
    match reservation.stage() {
        Stage::PaymentOpen { payment_no } if payment_no == failure.payment_no => {
            let times = reservation.pay_times().ok_or(ReservationError::OutOfOrder)?;
            let pay_by = after_failure(times, failure);
            let reason = failure.reason.to_owned();
            let failed =
                ReservationEvent::PaymentFailed { reservation_no, payment_no, reason, pay_by };
            let expired = (pay_by <= failure.failed_at)
                .then_some(ReservationEvent::Expired { reservation_no, item_no });
            Ok(std::iter::once(failed).chain(expired).collect())
        }
        Stage::Requested
        | Stage::Unpaid { .. }
        | Stage::PaymentOpen { .. }
        | Stage::Paid { .. }
        | Stage::CancellationPending { .. }
        | Stage::Renting { .. }
        | Stage::Completed { .. }
        | Stage::Rejected
        | Stage::Cancelled
        | Stage::Expired => no_change(),
        Stage::New => Err(ReservationError::OutOfOrder),
    }
}

/// The current end of the time to pay, or a little later; a failure moves it at most to twice the
/// time to pay after `Reserved`, so that a card that never pays can't hold an item for ever.
fn after_failure(times: PayTimes, failure: &Failure<'_>) -> DateTime<Utc> {
    let latest = times.first + failure.pay_within;
    times.standing.max((failure.failed_at + PAY_AGAIN_WITHIN).min(latest))
}
