//! The decisions about a reservation's payment attempts. Each names its attempt: an approval of any
//! but the open one is late, changes nothing else and starts that attempt's refund.

use super::{
    Cancelling, PayTimes, RequestedReservation, Reservation, ReservationError, ReservationEvent,
    ReservationStage,
};
use crate::decider::{Decision, no_change};
use crate::ids::PaymentNo;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// How long a renter whose attempt failed has at least to pay again, while the limit allows it.
pub const PAY_AGAIN_WITHIN: Duration = Duration::from_mins(5);

/// A payment attempt that failed.
pub(super) struct FailedAttempt<'a> {
    pub(super) payment_no: PaymentNo,
    pub(super) reason: &'a str,
    pub(super) failed_at: DateTime<Utc>,
    pub(super) pay_within: Duration,
}

pub(super) fn request_payment(
    reservation: &Reservation,
    request: &RequestedReservation,
    payment_no: PaymentNo,
) -> Decision<Reservation> {
    match reservation.stage() {
        ReservationStage::Requested => Err(ReservationError::NotReserved),
        ReservationStage::Unpaid { .. } => {
            let terms = reservation.terms().ok_or(ReservationError::OutOfOrder)?;
            Ok(vec![ReservationEvent::PaymentRequested {
                reservation_no: request.reservation_no,
                item_no: request.item_no,
                payment_no,
                amount: terms.total_price,
            }])
        }
        ReservationStage::PaymentOpen { .. } => Err(ReservationError::PaymentPending),
        ReservationStage::CancellationPending { .. } => Err(ReservationError::CancellationPending),
        ReservationStage::Paid { .. }
        | ReservationStage::Renting { .. }
        | ReservationStage::Completed { .. } => no_change(),
        ReservationStage::Rejected | ReservationStage::Cancelled | ReservationStage::Expired => {
            Err(ReservationError::Closed)
        }
        ReservationStage::New => Err(ReservationError::NotFound),
    }
}

pub(super) fn request_payment_cancellation(
    stage: ReservationStage,
    request: &RequestedReservation,
) -> Decision<Reservation> {
    let RequestedReservation { reservation_no, item_no, .. } = *request;
    match stage {
        ReservationStage::Requested | ReservationStage::Unpaid { .. } => {
            Err(ReservationError::NotPaid)
        }
        ReservationStage::PaymentOpen { .. } => Err(ReservationError::PaymentPending),
        ReservationStage::Paid { .. } => {
            Ok(vec![ReservationEvent::PaymentCancellationRequested { reservation_no, item_no }])
        }
        ReservationStage::CancellationPending { request: Cancelling::Payment, .. } => no_change(),
        ReservationStage::CancellationPending { request: Cancelling::Reservation, .. } => {
            Err(ReservationError::CancellationPending)
        }
        ReservationStage::Renting { .. } => Err(ReservationError::AlreadyLent),
        ReservationStage::Completed { .. }
        | ReservationStage::Rejected
        | ReservationStage::Cancelled
        | ReservationStage::Expired => Err(ReservationError::Closed),
        ReservationStage::New => Err(ReservationError::NotFound),
    }
}

pub(super) fn record_payment_approved(
    reservation: &Reservation,
    request: &RequestedReservation,
    approved: PaymentNo,
) -> Decision<Reservation> {
    match reservation.stage() {
        ReservationStage::PaymentOpen { payment_no } if payment_no == approved => {
            Ok(vec![ReservationEvent::Paid {
                reservation_no: request.reservation_no,
                item_no: request.item_no,
                payment_no,
            }])
        }
        ReservationStage::Paid { payment_no }
        | ReservationStage::CancellationPending { payment_no, .. }
        | ReservationStage::Renting { payment_no, .. }
        | ReservationStage::Completed { payment_no, .. }
            if payment_no == approved =>
        {
            no_change()
        }
        ReservationStage::Requested
        | ReservationStage::Unpaid { .. }
        | ReservationStage::PaymentOpen { .. }
        | ReservationStage::Paid { .. }
        | ReservationStage::CancellationPending { .. }
        | ReservationStage::Renting { .. }
        | ReservationStage::Completed { .. }
        | ReservationStage::Rejected
        | ReservationStage::Cancelled
        | ReservationStage::Expired => late(reservation, request, approved),
        ReservationStage::New => Err(ReservationError::OutOfOrder),
    }
}

/// Once per attempt: the refund it starts needs no second start.
fn late(
    reservation: &Reservation,
    request: &RequestedReservation,
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
    request: &RequestedReservation,
    failure: &FailedAttempt<'_>,
) -> Decision<Reservation> {
    let RequestedReservation { reservation_no, item_no, .. } = *request;
    match reservation.stage() {
        ReservationStage::PaymentOpen { payment_no } if payment_no == failure.payment_no => {
            let times = reservation.pay_times().ok_or(ReservationError::OutOfOrder)?;
            let pay_by = after_failure(times, failure);
            let reason = failure.reason.to_owned();
            let failed =
                ReservationEvent::PaymentFailed { reservation_no, payment_no, reason, pay_by };
            let expired = (pay_by <= failure.failed_at)
                .then_some(ReservationEvent::Expired { reservation_no, item_no });
            Ok(std::iter::once(failed).chain(expired).collect())
        }
        ReservationStage::Requested
        | ReservationStage::Unpaid { .. }
        | ReservationStage::PaymentOpen { .. }
        | ReservationStage::Paid { .. }
        | ReservationStage::CancellationPending { .. }
        | ReservationStage::Renting { .. }
        | ReservationStage::Completed { .. }
        | ReservationStage::Rejected
        | ReservationStage::Cancelled
        | ReservationStage::Expired => no_change(),
        ReservationStage::New => Err(ReservationError::OutOfOrder),
    }
}

/// The current end of the time to pay, or a little later; a failure moves it at most to twice the
/// time to pay after `Reserved`, so that a card that never pays can't hold an item for ever.
fn after_failure(times: PayTimes, failure: &FailedAttempt<'_>) -> DateTime<Utc> {
    let latest = times.first + failure.pay_within;
    times.standing.max((failure.failed_at + PAY_AGAIN_WITHIN).min(latest))
}
