//! The view of payment attempts: one row per payment stream.

use super::status::{PaymentProgress, PaymentStatus};
use crate::engine::view::{Column, FoldError, View};
use cqrs_es::Aggregate;
use gdmarket_domain::payment::AttemptProgress;
use gdmarket_domain::{
    ItemNo, MarketEvent, Money, Payment, PaymentEvent, PaymentNo, ReservationNo,
};
use serde::{Deserialize, Serialize};

/// The view behind `/payments`.
#[derive(Debug, Clone, Copy)]
pub struct Payments;

/// The row of a payment attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRow {
    /// The aggregate's state.
    state: Payment,
    /// The gateway's code, if it declined the charge or refused the refund.
    reason: Option<String>,
}

/// A member of `/payments`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentBody {
    /// The attempt's number.
    pub payment_no: PaymentNo,
    /// The reservation that is paid.
    pub reservation_no: ReservationNo,
    /// The item that is rented.
    pub item_no: ItemNo,
    /// The amount: the reservation's total, under the seed's name.
    pub item_price: Money,
    /// Whether the money was taken and kept.
    pub payment_status: PaymentStatus,
    /// How far the attempt has come.
    pub status: PaymentProgress,
    /// Why it was declined, or why the refund was refused.
    pub reason: Option<String>,
}

impl View for Payments {
    const NAME: &'static str = "payments";
    const VERSION: u32 = 3;
    const AGGREGATE: &'static str = Payment::TYPE;
    const COLUMNS: &'static [Column<PaymentRow>] = &[
        Column::number("payment_no", |row| Some(row.state.attempt()?.payment_no.get())),
        Column::indexed(Column::number("reservation_no", |row| {
            Some(row.state.attempt()?.reservation_no.get())
        })),
        Column::indexed(Column::number("item_no", |row| Some(row.state.attempt()?.item_no.get()))),
        Column::number("item_price", |row| Some(row.state.attempt()?.amount.won())),
        Column::text("payment_status", |row| Some(payment_status(row.status()?).as_str())),
        Column::indexed(Column::text("status", |row| Some(row.status()?.as_str()))),
        Column::text("reason", |row| row.reason.as_deref()),
    ];
    type Row = PaymentRow;

    fn fold(row: &mut PaymentRow, event: MarketEvent) -> Result<(), FoldError> {
        let MarketEvent::Payment(event) = event else {
            return Err(FoldError::Foreign);
        };
        row.reason = match &event {
            PaymentEvent::Declined { reason, .. } | PaymentEvent::RefundRefused { reason, .. } => {
                Some(reason.clone())
            }
            PaymentEvent::Started { .. }
            | PaymentEvent::Approved { .. }
            | PaymentEvent::OutcomeUnknown { .. }
            | PaymentEvent::CancellationStarted { .. }
            | PaymentEvent::Cancelled { .. } => None,
        };
        row.state.apply(event);
        Ok(())
    }

    fn is_gone(row: &PaymentRow) -> bool {
        row.state.attempt().is_none()
    }

    fn body(row: &Self::Row) -> Option<serde_json::Value> {
        row.body().map(|body| serde_json::json!(body))
    }
}

impl PaymentRow {
    /// The attempt as its own decisions see it.
    pub const fn state(&self) -> &Payment {
        &self.state
    }

    fn status(&self) -> Option<PaymentProgress> {
        self.state.progress().map(shown)
    }

    /// The member of `/payments`.
    pub(crate) fn body(&self) -> Option<PaymentBody> {
        let attempt = self.state.attempt()?;
        let status = self.status()?;
        Some(PaymentBody {
            payment_no: attempt.payment_no,
            reservation_no: attempt.reservation_no,
            item_no: attempt.item_no,
            item_price: attempt.amount,
            payment_status: payment_status(status),
            status,
            reason: self.reason.clone(),
        })
    }
}

const fn payment_status(status: PaymentProgress) -> PaymentStatus {
    match status {
        PaymentProgress::Approved => PaymentStatus::Paid,
        PaymentProgress::Pending
        | PaymentProgress::Declined
        | PaymentProgress::Refunding
        | PaymentProgress::RefundRefused
        | PaymentProgress::Cancelled => PaymentStatus::NotPaid,
    }
}

const fn shown(progress: AttemptProgress) -> PaymentProgress {
    match progress {
        AttemptProgress::Pending | AttemptProgress::Unknown => PaymentProgress::Pending,
        AttemptProgress::Approved => PaymentProgress::Approved,
        AttemptProgress::Declined => PaymentProgress::Declined,
        AttemptProgress::Cancelling => PaymentProgress::Refunding,
        AttemptProgress::RefundRefused => PaymentProgress::RefundRefused,
        AttemptProgress::Cancelled => PaymentProgress::Cancelled,
    }
}
