//! The view of payment attempts: one row per payment stream.

use super::status::{PaymentProgress, PaymentStatus};
use crate::engine::view::{Column, FoldError, View};
use cqrs_es::Aggregate;
use gdmarket_domain::payment::AttemptProgress;
use gdmarket_domain::{
    ItemNo, MarketEvent, Money, Payment, PaymentEvent, PaymentNo, ReservationNo, ViewName,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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

/// One attempt to pay a reservation.
// The texts of these fields are part of the OpenAPI document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Payment)]
#[expect(missing_docs, reason = "the names say it, in the OpenAPI document too")]
pub struct PaymentBody {
    #[schema(value_type = i64)]
    pub payment_no: PaymentNo,
    #[schema(value_type = i64)]
    pub reservation_no: ReservationNo,
    #[schema(value_type = i64)]
    pub item_no: ItemNo,
    /// What is charged: the reservation's total, under the seed's name.
    #[schema(value_type = i64)]
    pub item_price: Money,
    // Tools show amounts alone; HTTP names the currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required, value_type = String, example = "KRW")]
    pub currency: Option<&'static str>,
    pub payment_status: PaymentStatus,
    pub status: PaymentProgress,
    /// Why it was declined.
    #[schema(required)]
    pub reason: Option<String>,
}

impl View for Payments {
    const NAME: &'static str = ViewName::Payments.name();
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
            currency: None,
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
