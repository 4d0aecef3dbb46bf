//! Which decision answers which command, who may send it, and the decisions about the reservation
//! itself; those about its payments are in `payments`, the recorded facts in `facts`.

use super::{
    Cancelling, RequestedReservation, Reservation, ReservationCommand, ReservationError,
    ReservationEvent, ReservationStage, facts, payments,
};
use crate::actor::Actor;
use crate::decider::{Decision, no_change};
use crate::ids::PersonId;
use crate::money::Money;
use chrono::{DateTime, Utc};

pub(super) fn decide(
    reservation: &Reservation,
    command: &ReservationCommand,
) -> Decision<Reservation> {
    let Some(request) = reservation.request() else {
        return decide_without_request(command);
    };
    let stage = reservation.stage();
    match command {
        ReservationCommand::Reserve { .. } => no_change(),
        ReservationCommand::Confirm { owner_id, item_name, item_price, pay_by } => {
            let terms = ConfirmedTerms {
                owner_id: *owner_id,
                item_name,
                item_price: *item_price,
                pay_by: *pay_by,
            };
            confirm(stage, request, &terms)
        }
        ReservationCommand::Reject { reason } => reject(stage, request, reason),
        ReservationCommand::Cancel => cancel(stage, request),
        ReservationCommand::Expire { pay_by } => expire(stage, request, *pay_by),
        ReservationCommand::RequestPayment { payment_no } => {
            payments::request_payment(reservation, request, *payment_no)
        }
        ReservationCommand::RequestPaymentCancellation => {
            payments::request_payment_cancellation(stage, request)
        }
        ReservationCommand::RecordPaymentApproved { payment_no } => {
            payments::record_payment_approved(reservation, request, *payment_no)
        }
        ReservationCommand::RecordPaymentFailed { payment_no, reason, failed_at, pay_within } => {
            let failure = payments::FailedAttempt {
                payment_no: *payment_no,
                reason,
                failed_at: *failed_at,
                pay_within: *pay_within,
            };
            payments::record_payment_failed(reservation, request, &failure)
        }
        ReservationCommand::RecordLendingRevoked { pay_by } => {
            facts::record_lending_revoked(stage, request, *pay_by)
        }
        ReservationCommand::RecordRevocationRefused => {
            facts::record_revocation_refused(stage, request)
        }
        ReservationCommand::StartRental => facts::start_rental(stage, request),
        ReservationCommand::CompleteRental => facts::complete_rental(stage, request),
    }
}

/// Before there is a reservation: a person gets "not found", and a fact that can't be true yet is out of
/// order.
fn decide_without_request(command: &ReservationCommand) -> Decision<Reservation> {
    match command {
        ReservationCommand::Reserve { reservation_no, item_no, renter_id, period, asked_on } => {
            Ok(vec![ReservationEvent::Requested {
                reservation_no: *reservation_no,
                item_no: *item_no,
                renter_id: *renter_id,
                period: *period,
                asked_on: *asked_on,
            }])
        }
        ReservationCommand::Cancel
        | ReservationCommand::RequestPayment { .. }
        | ReservationCommand::RequestPaymentCancellation
        | ReservationCommand::Expire { .. } => Err(ReservationError::NotFound),
        ReservationCommand::Confirm { .. }
        | ReservationCommand::Reject { .. }
        | ReservationCommand::RecordPaymentApproved { .. }
        | ReservationCommand::RecordPaymentFailed { .. }
        | ReservationCommand::RecordLendingRevoked { .. }
        | ReservationCommand::RecordRevocationRefused
        | ReservationCommand::StartRental
        | ReservationCommand::CompleteRental => Err(ReservationError::OutOfOrder),
    }
}

/// The renter reserves, pays and cancels; the item's owner, known from the hold on, may cancel too.
pub(super) fn permits(
    reservation: &Reservation,
    actor: &Actor,
    command: &ReservationCommand,
) -> bool {
    let is_its_renter =
        || reservation.request().is_none_or(|request| actor.is_renter(request.renter_id));
    let is_its_owner = || reservation.terms().is_some_and(|terms| actor.is_owner(terms.owner_id));
    match command {
        ReservationCommand::Reserve { renter_id, .. } => actor.is_renter(*renter_id),
        ReservationCommand::Cancel => is_its_renter() || is_its_owner(),
        ReservationCommand::RequestPayment { .. }
        | ReservationCommand::RequestPaymentCancellation => is_its_renter(),
        ReservationCommand::Confirm { .. }
        | ReservationCommand::Reject { .. }
        | ReservationCommand::RecordPaymentApproved { .. }
        | ReservationCommand::RecordPaymentFailed { .. }
        | ReservationCommand::RecordLendingRevoked { .. }
        | ReservationCommand::RecordRevocationRefused
        | ReservationCommand::StartRental
        | ReservationCommand::CompleteRental
        | ReservationCommand::Expire { .. } => actor.acts_for_anyone(),
    }
}

/// The terms under which the item holds the days.
struct ConfirmedTerms<'a> {
    owner_id: Option<PersonId>,
    item_name: &'a str,
    item_price: Money,
    pay_by: DateTime<Utc>,
}

/// The total price is the item's price for each day of the period, or once if there is no period.
fn confirm(
    stage: ReservationStage,
    request: &RequestedReservation,
    terms: &ConfirmedTerms<'_>,
) -> Decision<Reservation> {
    let ConfirmedTerms { owner_id, item_name, item_price, pay_by } = *terms;
    match stage {
        ReservationStage::Requested => Ok(vec![ReservationEvent::Reserved {
            reservation_no: request.reservation_no,
            item_no: request.item_no,
            owner_id,
            item_name: item_name.to_owned(),
            item_price,
            total_price: request.period.map_or(item_price, |days| item_price.times(days.days())),
            pay_by,
        }]),
        ReservationStage::Unpaid { .. }
        | ReservationStage::PaymentOpen { .. }
        | ReservationStage::Paid { .. }
        | ReservationStage::CancellationPending { .. }
        | ReservationStage::Renting { .. }
        | ReservationStage::Completed { .. } => no_change(),
        ReservationStage::Rejected | ReservationStage::Cancelled | ReservationStage::Expired => {
            Err(ReservationError::Closed)
        }
        ReservationStage::New => Err(ReservationError::OutOfOrder),
    }
}

fn reject(
    stage: ReservationStage,
    request: &RequestedReservation,
    reason: &str,
) -> Decision<Reservation> {
    match stage {
        ReservationStage::Requested => Ok(vec![ReservationEvent::Rejected {
            reservation_no: request.reservation_no,
            item_no: request.item_no,
            reason: reason.to_owned(),
        }]),
        ReservationStage::Unpaid { .. }
        | ReservationStage::PaymentOpen { .. }
        | ReservationStage::Paid { .. }
        | ReservationStage::CancellationPending { .. }
        | ReservationStage::Renting { .. }
        | ReservationStage::Completed { .. } => Err(ReservationError::AlreadyReserved),
        ReservationStage::Rejected => no_change(),
        ReservationStage::Cancelled | ReservationStage::Expired => Err(ReservationError::Closed),
        ReservationStage::New => Err(ReservationError::OutOfOrder),
    }
}

/// Unpaid it ends at once; paid, the item decides first, and nothing is refunded before it answers.
fn cancel(stage: ReservationStage, request: &RequestedReservation) -> Decision<Reservation> {
    let RequestedReservation { reservation_no, item_no, .. } = *request;
    match stage {
        ReservationStage::Requested | ReservationStage::Unpaid { .. } => {
            Ok(vec![ReservationEvent::Cancelled { reservation_no, item_no, payment_no: None }])
        }
        ReservationStage::PaymentOpen { .. } => Err(ReservationError::PaymentPending),
        ReservationStage::Paid { .. } => {
            Ok(vec![ReservationEvent::CancellationRequested { reservation_no, item_no }])
        }
        ReservationStage::CancellationPending { request: Cancelling::Reservation, .. }
        | ReservationStage::Cancelled => no_change(),
        ReservationStage::CancellationPending { request: Cancelling::Payment, .. } => {
            Err(ReservationError::CancellationPending)
        }
        ReservationStage::Renting { .. } => Err(ReservationError::AlreadyLent),
        ReservationStage::Completed { .. }
        | ReservationStage::Rejected
        | ReservationStage::Expired => Err(ReservationError::Closed),
        ReservationStage::New => Err(ReservationError::NotFound),
    }
}

/// Only the current end of the time to pay counts: an older one was replaced by an attempt since.
fn expire(
    stage: ReservationStage,
    request: &RequestedReservation,
    due: DateTime<Utc>,
) -> Decision<Reservation> {
    match stage {
        ReservationStage::Unpaid { pay_by } if pay_by == due => {
            Ok(vec![ReservationEvent::Expired {
                reservation_no: request.reservation_no,
                item_no: request.item_no,
            }])
        }
        ReservationStage::Unpaid { .. } => Err(ReservationError::NotDue),
        ReservationStage::PaymentOpen { .. } => Err(ReservationError::PaymentPending),
        ReservationStage::CancellationPending { .. } => Err(ReservationError::CancellationPending),
        ReservationStage::Paid { .. }
        | ReservationStage::Renting { .. }
        | ReservationStage::Completed { .. } => Err(ReservationError::Paid),
        ReservationStage::Requested
        | ReservationStage::Rejected
        | ReservationStage::Cancelled
        | ReservationStage::Expired => Err(ReservationError::Closed),
        ReservationStage::New => Err(ReservationError::NotFound),
    }
}
