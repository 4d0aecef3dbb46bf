//! What the item did, recorded on the reservation. A fact is never refused to a caller; one that
//! can't be true is out of order, and its sender parks it for a person to look at.

use super::{Cancelling, Request, Reservation, ReservationError, ReservationEvent, Stage};
use crate::decider::{Decision, no_change};
use chrono::{DateTime, Utc};

/// The requested cancellation goes through; either event starts the refund.
pub(super) fn record_lending_revoked(
    stage: Stage,
    request: &Request,
    pay_by: DateTime<Utc>,
) -> Decision<Reservation> {
    let Request { reservation_no, item_no, .. } = *request;
    match stage {
        Stage::CancellationPending { payment_no, request: Cancelling::Reservation } => {
            Ok(vec![ReservationEvent::Cancelled {
                reservation_no,
                item_no,
                payment_no: Some(payment_no),
            }])
        }
        Stage::CancellationPending { payment_no, request: Cancelling::Payment } => {
            Ok(vec![ReservationEvent::PaymentCancelled {
                reservation_no,
                item_no,
                payment_no,
                pay_by,
            }])
        }
        Stage::Requested
        | Stage::Unpaid { .. }
        | Stage::PaymentOpen { .. }
        | Stage::Paid { .. }
        | Stage::Renting { .. }
        | Stage::Completed { .. }
        | Stage::Rejected
        | Stage::Cancelled
        | Stage::Expired => no_change(),
        Stage::New => Err(ReservationError::OutOfOrder),
    }
}

/// The item was lent first; the request is closed wherever the reservation has got to since.
pub(super) fn record_revocation_refused(stage: Stage, request: &Request) -> Decision<Reservation> {
    match stage {
        Stage::CancellationPending { request: open, .. }
        | Stage::Renting { request: Some(open), .. }
        | Stage::Completed { request: Some(open), .. } => Ok(vec![refused(open, request)]),
        Stage::Requested
        | Stage::Unpaid { .. }
        | Stage::PaymentOpen { .. }
        | Stage::Paid { .. }
        | Stage::Renting { request: None, .. }
        | Stage::Completed { request: None, .. }
        | Stage::Rejected
        | Stage::Cancelled
        | Stage::Expired => no_change(),
        Stage::New => Err(ReservationError::OutOfOrder),
    }
}

const fn refused(open: Cancelling, request: &Request) -> ReservationEvent {
    let Request { reservation_no, item_no, .. } = *request;
    match open {
        Cancelling::Reservation => {
            ReservationEvent::CancellationRefused { reservation_no, item_no }
        }
        Cancelling::Payment => {
            ReservationEvent::PaymentCancellationRefused { reservation_no, item_no }
        }
    }
}

pub(super) fn start_rental(stage: Stage, request: &Request) -> Decision<Reservation> {
    let Request { reservation_no, item_no, .. } = *request;
    match stage {
        Stage::Paid { .. } | Stage::CancellationPending { .. } => {
            Ok(vec![ReservationEvent::RentalStarted { reservation_no, item_no }])
        }
        Stage::Renting { .. } | Stage::Completed { .. } => no_change(),
        Stage::New
        | Stage::Requested
        | Stage::Unpaid { .. }
        | Stage::PaymentOpen { .. }
        | Stage::Rejected
        | Stage::Cancelled
        | Stage::Expired => Err(ReservationError::OutOfOrder),
    }
}

pub(super) fn complete_rental(stage: Stage, request: &Request) -> Decision<Reservation> {
    let Request { reservation_no, item_no, .. } = *request;
    match stage {
        Stage::Renting { .. } => {
            Ok(vec![ReservationEvent::RentalCompleted { reservation_no, item_no }])
        }
        Stage::Completed { .. } => no_change(),
        Stage::New
        | Stage::Requested
        | Stage::Unpaid { .. }
        | Stage::PaymentOpen { .. }
        | Stage::Paid { .. }
        | Stage::CancellationPending { .. }
        | Stage::Rejected
        | Stage::Cancelled
        | Stage::Expired => Err(ReservationError::OutOfOrder),
    }
}
