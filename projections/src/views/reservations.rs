//! The view of reservations: one row per reservation stream.

use super::status::{PaymentStatus, RentalStatus, ReservationStatus};
use crate::engine::view::{Column, FoldError, View};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use gdmarket_domain::reservation::Stage;
use gdmarket_domain::{
    ItemNo, MarketEvent, Money, PersonId, RentalPeriod, Reservation, ReservationEvent,
    ReservationNo,
};
use serde::{Deserialize, Serialize};

/// The view behind `/reservations`.
#[derive(Debug, Clone, Copy)]
pub struct Reservations;

/// What is kept per reservation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationRow {
    /// The reservation itself: what may be done with it is asked of this.
    state: Reservation,
    /// Why the item couldn't be held.
    reason: Option<String>,
}

/// A member of `/reservations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReservationBody {
    /// The reservation's number.
    pub reservation_no: ReservationNo,
    /// Whose it is.
    pub customer_id: PersonId,
    /// Their name, as long as it is known.
    pub customer_name: Option<String>,
    /// Which item.
    pub item_no: ItemNo,
    /// Whose the item is, as far as it is known here; who else sees the name depends on it.
    #[serde(skip)]
    pub owner_id: Option<PersonId>,
    /// What the item was called when it was held.
    pub item_name: Option<String>,
    /// What a day cost when it was held.
    pub item_price: Option<Money>,
    /// What is to be paid.
    pub total_price: Option<Money>,
    /// For which days; `None` until returned.
    pub period: Option<RentalPeriod>,
    /// How far it has come.
    pub status: ReservationStatus,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// Where the thing is.
    pub rental_status: RentalStatus,
    /// Whether it is paid.
    pub payment_status: PaymentStatus,
    /// When the time to pay ends, while it runs.
    pub pay_by: Option<DateTime<Utc>>,
}

impl View for Reservations {
    const NAME: &'static str = "reservations";
    const VERSION: u32 = 3;
    const AGGREGATE: &'static str = Reservation::TYPE;
    const COLUMNS: &'static [Column<ReservationRow>] = &[
        Column::number("reservation_no", |row| Some(row.state.request()?.reservation_no.get())),
        Column::indexed(Column::number("customer_id", |row| {
            Some(row.state.request()?.renter_id.get())
        })),
        Column::indexed(Column::number("owner_id", |row| {
            row.state.terms()?.owner_id.map(PersonId::get)
        })),
        Column::indexed(Column::number("item_no", |row| Some(row.state.request()?.item_no.get()))),
        Column::text("item_name", |row| Some(row.state.terms()?.item_name.as_str())),
        Column::number("item_price", |row| Some(row.state.terms()?.item_price.won())),
        Column::number("total_price", |row| Some(row.state.terms()?.total_price.won())),
        Column::date("period_from", |row| Some(row.state.request()?.period?.from())),
        Column::date("period_to", |row| Some(row.state.request()?.period?.to())),
        Column::indexed(Column::text("status", |row| Some(status(row.state.stage())?.as_str()))),
        Column::text("reason", |row| row.reason.as_deref()),
        Column::text("rental_status", |row| Some(rental_status(row.state.stage()).as_str())),
        Column::text("payment_status", |row| Some(payment_status(row.state.stage()).as_str())),
        Column::time("pay_by", |row| pay_by(row.state.stage())),
    ];
    type Row = ReservationRow;

    fn fold(row: &mut ReservationRow, event: MarketEvent) -> Result<(), FoldError> {
        let MarketEvent::Reservation(event) = event else {
            return Err(FoldError::Foreign);
        };
        if let ReservationEvent::Rejected { reason, .. } = &event {
            row.reason = Some(reason.clone());
        }
        row.state.apply(event);
        Ok(())
    }

    fn is_gone(row: &ReservationRow) -> bool {
        row.state.request().is_none()
    }

    fn body(row: &Self::Row) -> Option<serde_json::Value> {
        row.body().map(|body| serde_json::json!(body))
    }
}

impl ReservationRow {
    /// The reservation as its own decisions see it.
    pub const fn state(&self) -> &Reservation {
        &self.state
    }

    /// What `/reservations` shows, before the name is joined.
    pub(crate) fn body(&self) -> Option<ReservationBody> {
        let request = self.state.request()?;
        let terms = self.state.terms();
        let stage = self.state.stage();
        Some(ReservationBody {
            reservation_no: request.reservation_no,
            customer_id: request.renter_id,
            customer_name: None,
            item_no: request.item_no,
            owner_id: terms.and_then(|terms| terms.owner_id),
            item_name: terms.map(|terms| terms.item_name.clone()),
            item_price: terms.map(|terms| terms.item_price),
            total_price: terms.map(|terms| terms.total_price),
            period: request.period,
            status: status(stage)?,
            reason: self.reason.clone(),
            rental_status: rental_status(stage),
            payment_status: payment_status(stage),
            pay_by: pay_by(stage),
        })
    }
}

const fn status(stage: Stage) -> Option<ReservationStatus> {
    match stage {
        Stage::New => None,
        Stage::Requested => Some(ReservationStatus::Requested),
        Stage::Unpaid { .. }
        | Stage::PaymentOpen { .. }
        | Stage::Paid { .. }
        | Stage::CancellationPending { .. } => Some(ReservationStatus::Reserved),
        Stage::Renting { .. } => Some(ReservationStatus::Renting),
        Stage::Completed { .. } => Some(ReservationStatus::Completed),
        Stage::Rejected => Some(ReservationStatus::Rejected),
        Stage::Cancelled => Some(ReservationStatus::Cancelled),
        Stage::Expired => Some(ReservationStatus::Expired),
    }
}

const fn rental_status(stage: Stage) -> RentalStatus {
    match stage {
        Stage::Renting { .. } => RentalStatus::Renting,
        Stage::Completed { .. } => RentalStatus::Returned,
        Stage::New
        | Stage::Requested
        | Stage::Unpaid { .. }
        | Stage::PaymentOpen { .. }
        | Stage::Paid { .. }
        | Stage::CancellationPending { .. }
        | Stage::Rejected
        | Stage::Cancelled
        | Stage::Expired => RentalStatus::NotRenting,
    }
}

const fn payment_status(stage: Stage) -> PaymentStatus {
    match stage {
        Stage::Paid { .. }
        | Stage::CancellationPending { .. }
        | Stage::Renting { .. }
        | Stage::Completed { .. } => PaymentStatus::Paid,
        Stage::New
        | Stage::Requested
        | Stage::Unpaid { .. }
        | Stage::PaymentOpen { .. }
        | Stage::Rejected
        | Stage::Cancelled
        | Stage::Expired => PaymentStatus::NotPaid,
    }
}

const fn pay_by(stage: Stage) -> Option<DateTime<Utc>> {
    match stage {
        Stage::Unpaid { pay_by } => Some(pay_by),
        Stage::New
        | Stage::Requested
        | Stage::PaymentOpen { .. }
        | Stage::Paid { .. }
        | Stage::CancellationPending { .. }
        | Stage::Renting { .. }
        | Stage::Completed { .. }
        | Stage::Rejected
        | Stage::Cancelled
        | Stage::Expired => None,
    }
}
