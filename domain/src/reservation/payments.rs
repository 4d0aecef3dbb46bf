//! The decisions about a reservation's payment attempts. Each names its attempt: an approval of any
//! but the open one is late, changes nothing else and starts that attempt's refund.

use super::decide::{Decision, WAS_SO};
use super::{Cancelling, Request, Reservation, ReservationError, ReservationEvent, Stage};
use crate::ids::PaymentNo;
use chrono::{DateTime, Utc};

pub(super) fn request_payment(
    reservation: &Reservation,
    request: &Request,
    payment_no: PaymentNo,
) -> Decision {
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
        Stage::Paid { .. } | Stage::Renting { .. } | Stage::Completed { .. } => WAS_SO,
        Stage::Rejected | Stage::Cancelled | Stage::Expired => Err(ReservationError::Closed),
        Stage::New => Err(ReservationError::NotFound),
    }
}

pub(super) fn request_payment_cancellation(stage: Stage, request: &Request) -> Decision {
    let Request { reservation_no, item_no, .. } = *request;
    match stage {
        Stage::Requested | Stage::Unpaid { .. } => Err(ReservationError::NotPaid),
        Stage::PaymentOpen { .. } => Err(ReservationError::PaymentPending),
        Stage::Paid { .. } => {
            Ok(vec![ReservationEvent::PaymentCancellationRequested { reservation_no, item_no }])
        }
        Stage::CancellationPending { request: Cancelling::Payment, .. } => WAS_SO,
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
) -> Decision {
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
            WAS_SO
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
fn late(reservation: &Reservation, request: &Request, payment_no: PaymentNo) -> Decision {
    if reservation.is_late(payment_no) {
        return WAS_SO;
    }
    let reservation_no = request.reservation_no;
    Ok(vec![ReservationEvent::LatePaymentRecorded { reservation_no, payment_no }])
}

pub(super) fn record_payment_failed(
    stage: Stage,
    request: &Request,
    failed: PaymentNo,
    reason: &str,
    pay_by: DateTime<Utc>,
) -> Decision {
    match stage {
        Stage::PaymentOpen { payment_no } if payment_no == failed => {
            Ok(vec![ReservationEvent::PaymentFailed {
                reservation_no: request.reservation_no,
                payment_no,
                reason: reason.to_owned(),
                pay_by,
            }])
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
        | Stage::Expired => WAS_SO,
        Stage::New => Err(ReservationError::OutOfOrder),
    }
}
