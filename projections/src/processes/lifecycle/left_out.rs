//! Rules of the design that a search leaves out, to show that they are needed.

/// The rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeftOut {
    /// Only the task whose own append wrote `PaymentStarted` calls `confirm`.
    OneConfirm,
    /// A requested payment is settled when its time is over.
    Settling,
    /// An approval of any attempt but the open one starts its refund.
    LateRefund,
    /// `ItemHeld` and `HoldRefused` are appended under one command id.
    OneHoldAnswer,
    /// The item decides whether something paid can still be cancelled.
    ItemDecides,
    /// Only the current end of the time to pay expires a reservation.
    StandingPayBy,
    /// A failed payment moves the end at most to twice the time to pay.
    PayLimit,
    /// A refund is done only once it is recorded.
    RefundRecorded,
    /// A retry of a refused refund calls the gateway again.
    RefundRetry,
    /// A cancelled or expired reservation releases its days.
    Release,
    /// No item is lent after the last day.
    LastDay,
    /// A rental that isn't back takes today.
    Overdue,
    /// Owners don't rent their own items.
    OwnItem,
}
