//! What the item did, recorded on the reservation. A fact is never refused to a caller; one that
//! can't be true is out of order, and its sender parks it for manual action.

use super::{
    Cancelling, RequestedReservation, Reservation, ReservationError, ReservationEvent,
    ReservationStage,
};
use crate::decider::{Decision, no_change};
use chrono::{DateTime, Utc};

/// The requested cancellation goes through; either event starts the refund.
pub(super) fn record_lending_revoked(
    stage: ReservationStage,
    request: &RequestedReservation,
    pay_by: DateTime<Utc>,
) -> Decision<Reservation> {
    let RequestedReservation { reservation_no, item_no, .. } = *request;
    match stage {
        ReservationStage::CancellationPending { payment_no, request: Cancelling::Reservation } => {
            Ok(vec![ReservationEvent::Cancelled {
                reservation_no,
                item_no,
                payment_no: Some(payment_no),
            }])
        }
        ReservationStage::CancellationPending { payment_no, request: Cancelling::Payment } => {
            Ok(vec![ReservationEvent::PaymentCancelled {
                reservation_no,
                item_no,
                payment_no,
                pay_by,
            }])
        }
        ReservationStage::Requested
        | ReservationStage::Unpaid { .. }
        | ReservationStage::PaymentOpen { .. }
        | ReservationStage::Paid { .. }
        | ReservationStage::Renting { .. }
        | ReservationStage::Completed { .. }
        | ReservationStage::Rejected
        | ReservationStage::Cancelled
        | ReservationStage::Expired => no_change(),
        ReservationStage::New => Err(ReservationError::OutOfOrder),
    }
}

/// The item was lent first; the request is closed wherever the reservation has got to since.
pub(super) fn record_revocation_refused(
    stage: ReservationStage,
    request: &RequestedReservation,
) -> Decision<Reservation> {
    match stage {
        ReservationStage::CancellationPending { request: open, .. }
        | ReservationStage::Renting { request: Some(open), .. }
        | ReservationStage::Completed { request: Some(open), .. } => {
            Ok(vec![refused(open, request)])
        }
        ReservationStage::Requested
        | ReservationStage::Unpaid { .. }
        | ReservationStage::PaymentOpen { .. }
        | ReservationStage::Paid { .. }
        | ReservationStage::Renting { request: None, .. }
        | ReservationStage::Completed { request: None, .. }
        | ReservationStage::Rejected
        | ReservationStage::Cancelled
        | ReservationStage::Expired => no_change(),
        ReservationStage::New => Err(ReservationError::OutOfOrder),
    }
}

const fn refused(open: Cancelling, request: &RequestedReservation) -> ReservationEvent {
    let RequestedReservation { reservation_no, item_no, .. } = *request;
    match open {
        Cancelling::Reservation => {
            ReservationEvent::CancellationRefused { reservation_no, item_no }
        }
        Cancelling::Payment => {
            ReservationEvent::PaymentCancellationRefused { reservation_no, item_no }
        }
    }
}

pub(super) fn start_rental(
    stage: ReservationStage,
    request: &RequestedReservation,
) -> Decision<Reservation> {
    let RequestedReservation { reservation_no, item_no, .. } = *request;
    match stage {
        ReservationStage::Paid { .. } | ReservationStage::CancellationPending { .. } => {
            Ok(vec![ReservationEvent::RentalStarted { reservation_no, item_no }])
        }
        ReservationStage::Renting { .. } | ReservationStage::Completed { .. } => no_change(),
        ReservationStage::New
        | ReservationStage::Requested
        | ReservationStage::Unpaid { .. }
        | ReservationStage::PaymentOpen { .. }
        | ReservationStage::Rejected
        | ReservationStage::Cancelled
        | ReservationStage::Expired => Err(ReservationError::OutOfOrder),
    }
}

pub(super) fn complete_rental(
    stage: ReservationStage,
    request: &RequestedReservation,
) -> Decision<Reservation> {
    let RequestedReservation { reservation_no, item_no, .. } = *request;
    match stage {
        ReservationStage::Renting { .. } => {
            Ok(vec![ReservationEvent::RentalCompleted { reservation_no, item_no }])
        }
        ReservationStage::Completed { .. } => no_change(),
        ReservationStage::New
        | ReservationStage::Requested
        | ReservationStage::Unpaid { .. }
        | ReservationStage::PaymentOpen { .. }
        | ReservationStage::Paid { .. }
        | ReservationStage::CancellationPending { .. }
        | ReservationStage::Rejected
        | ReservationStage::Cancelled
        | ReservationStage::Expired => Err(ReservationError::OutOfOrder),
    }
}
