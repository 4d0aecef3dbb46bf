//! How far a reservation has come, and which event leads where; no rules here.

use super::ReservationEvent;
use crate::ids::PaymentNo;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How far the reservation has come: the columns of the table it is decided by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReservationStage {
    /// There is no reservation yet.
    #[default]
    New,
    /// The item hasn't answered.
    Requested,
    /// The item holds the days; to be paid by then.
    Unpaid {
        /// The end of the time to pay.
        pay_by: DateTime<Utc>,
    },
    /// A payment attempt is open.
    PaymentOpen {
        /// Which attempt.
        payment_no: PaymentNo,
    },
    /// Paid.
    Paid {
        /// By which attempt.
        payment_no: PaymentNo,
    },
    /// Paid, and the item decides whether it can still be cancelled.
    CancellationPending {
        /// By which attempt it was paid.
        payment_no: PaymentNo,
        /// What was requested.
        request: Cancelling,
    },
    /// The renter has the item.
    Renting {
        /// By which attempt it was paid.
        payment_no: PaymentNo,
        /// A request that came too late and hasn't been answered yet.
        request: Option<Cancelling>,
    },
    /// The item came back.
    Completed {
        /// By which attempt it was paid.
        payment_no: PaymentNo,
        /// A request that came too late and hasn't been answered yet.
        request: Option<Cancelling>,
    },
    /// The item couldn't be held.
    Rejected,
    /// Cancelled.
    Cancelled,
    /// Not paid in time.
    Expired,
}

/// What a cancellation takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cancelling {
    /// The whole reservation.
    Reservation,
    /// The payment only.
    Payment,
}

impl ReservationStage {
    /// The stage that this event leads to.
    pub(super) fn after(self, event: &ReservationEvent) -> Self {
        match event {
            ReservationEvent::Requested { .. } => Self::Requested,
            ReservationEvent::Reserved { pay_by, .. }
            | ReservationEvent::PaymentFailed { pay_by, .. }
            | ReservationEvent::PaymentCancelled { pay_by, .. } => Self::Unpaid { pay_by: *pay_by },
            ReservationEvent::Rejected { .. } => Self::Rejected,
            ReservationEvent::CancellationRequested { .. } => {
                self.cancellation_requested(Cancelling::Reservation)
            }
            ReservationEvent::PaymentCancellationRequested { .. } => {
                self.cancellation_requested(Cancelling::Payment)
            }
            ReservationEvent::CancellationRefused { .. }
            | ReservationEvent::PaymentCancellationRefused { .. } => self.cancellation_refused(),
            ReservationEvent::Cancelled { .. } => Self::Cancelled,
            ReservationEvent::PaymentRequested { payment_no, .. } => {
                Self::PaymentOpen { payment_no: *payment_no }
            }
            ReservationEvent::Paid { payment_no, .. } => Self::Paid { payment_no: *payment_no },
            ReservationEvent::LatePaymentRecorded { .. } => self,
            ReservationEvent::RentalStarted { .. } => self.lent(),
            ReservationEvent::RentalCompleted { .. } => self.returned(),
            ReservationEvent::Expired { .. } => Self::Expired,
        }
    }

    const fn cancellation_requested(self, request: Cancelling) -> Self {
        if let Self::Paid { payment_no } = self {
            return Self::CancellationPending { payment_no, request };
        }
        self
    }

    const fn cancellation_refused(self) -> Self {
        match self {
            Self::CancellationPending { payment_no, .. } => Self::Paid { payment_no },
            Self::Renting { payment_no, .. } => Self::Renting { payment_no, request: None },
            Self::Completed { payment_no, .. } => Self::Completed { payment_no, request: None },
            Self::New
            | Self::Requested
            | Self::Unpaid { .. }
            | Self::PaymentOpen { .. }
            | Self::Paid { .. }
            | Self::Rejected
            | Self::Cancelled
            | Self::Expired => self,
        }
    }

    const fn lent(self) -> Self {
        if let Self::Paid { payment_no } = self {
            return Self::Renting { payment_no, request: None };
        }
        if let Self::CancellationPending { payment_no, request } = self {
            return Self::Renting { payment_no, request: Some(request) };
        }
        self
    }

    const fn returned(self) -> Self {
        if let Self::Renting { payment_no, request } = self {
            return Self::Completed { payment_no, request };
        }
        self
    }
}
