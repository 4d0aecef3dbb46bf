//! Why a reservation's command changes nothing. Messages are for a person and name the next step.

use crate::decider::Refusal;

/// A refusal of one reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReservationError {
    /// No such reservation.
    #[error("there is no such reservation; check the number")]
    NotFound,
    /// It is rejected, cancelled, expired or completed.
    #[error("the reservation is closed; make a new one")]
    Closed,
    /// The item holds the days already.
    #[error("the reservation was confirmed; cancel it instead")]
    AlreadyReserved,
    /// A payment attempt is open.
    #[error("a payment is in flight; try again when its outcome is known")]
    PaymentPending,
    /// A cancellation was requested and the item hasn't answered yet.
    #[error("a cancellation is in flight; try again when it is decided")]
    CancellationPending,
    /// The renter has the item.
    #[error("the item was handed over; bring it back instead")]
    AlreadyLent,
    /// The item doesn't hold the days yet.
    #[error("the reservation isn't confirmed yet; pay once it is")]
    NotReserved,
    /// Nothing was paid.
    #[error("the reservation isn't paid; there is nothing to take back")]
    NotPaid,
    /// The time to pay ends at another moment.
    #[error("the time to pay isn't over; look at the reservation's payBy")]
    NotDue,
    /// It was paid in time.
    #[error("the reservation is paid; it no longer expires")]
    Paid,
    /// The reservation can't be where this command finds it.
    #[error("this doesn't fit the reservation's history; it needs manual action by an operator")]
    OutOfOrder,
}

impl Refusal for ReservationError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "reservation-not-found",
            Self::Closed => "reservation-closed",
            Self::AlreadyReserved => "already-reserved",
            Self::PaymentPending => "payment-pending",
            Self::CancellationPending => "cancellation-pending",
            Self::AlreadyLent => "already-lent",
            Self::NotReserved => "not-reserved",
            Self::NotPaid => "not-paid",
            Self::NotDue => "not-due",
            Self::Paid => "paid",
            Self::OutOfOrder => "impossible",
        }
    }

    /// An outcome or a decision that isn't known yet.
    fn is_transient(&self) -> bool {
        matches!(self, Self::PaymentPending | Self::CancellationPending | Self::NotReserved)
    }
}
