//! The words that fields may carry, for the OpenAPI document.
#![expect(dead_code, reason = "these types only describe what the projections' words are")]

use utoipa::ToSchema;

/// Whether an item could be reserved without looking at days.
#[derive(ToSchema)]
#[schema(as = ItemStatus)]
pub(crate) enum ItemStatusWord {
    Rentable,
    NotRentable,
}

/// Where the thing itself is.
#[derive(ToSchema)]
#[schema(as = RentalStatus)]
pub(crate) enum RentalStatusWord {
    NotRenting,
    Renting,
    Returned,
}

/// Whether money was taken and kept.
#[derive(ToSchema)]
#[schema(as = PaymentStatus)]
pub(crate) enum PaymentStatusWord {
    NotPaid,
    Paid,
}

/// What an item's alarm announced last.
#[derive(ToSchema)]
#[schema(as = AlarmStatus)]
pub(crate) enum AlarmStatusWord {
    Alerted,
    DeleteAlerted,
}

/// How far a reservation has come.
#[derive(ToSchema)]
#[schema(as = ReservationProgress)]
pub(crate) enum ReservationWord {
    Requested,
    Reserved,
    Rejected,
    Cancelled,
    Expired,
    Renting,
    Completed,
}

/// How far a payment attempt has come.
#[derive(ToSchema)]
#[schema(as = PaymentProgress)]
pub(crate) enum PaymentWord {
    Pending,
    Approved,
    Declined,
    Refunding,
    RefundRefused,
    Cancelled,
}
