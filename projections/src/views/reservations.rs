//! The view of reservations: one row per reservation stream.

use super::status::{PaymentStatus, RentalStatus, ReservationStatus};
use crate::engine::view::{Column, FoldError, View};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use gdmarket_domain::reservation::ReservationStage;
use gdmarket_domain::{
    ItemNo, MarketEvent, Money, PersonId, RentalPeriod, Reservation, ReservationEvent,
    ReservationNo, ViewName,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, Ref, Schema, Type};

/// The view behind `/reservations`.
#[derive(Debug, Clone, Copy)]
pub struct Reservations;

/// The row of a reservation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationRow {
    /// The aggregate's state, which knows the permitted actions.
    state: Reservation,
    /// Why the hold was refused.
    reason: Option<String>,
}

/// A reservation.
// The texts of these fields are part of the OpenAPI document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Reservation)]
#[expect(missing_docs, reason = "the names say it, in the OpenAPI document too")]
pub struct ReservationBody {
    #[schema(value_type = i64)]
    pub reservation_no: ReservationNo,
    #[schema(value_type = i64)]
    pub customer_id: PersonId,
    /// The name that came with it, as long as it is known; shown to its renter, to the item's owner and
    /// to operators.
    #[schema(required)]
    pub customer_name: Option<String>,
    #[schema(value_type = i64)]
    pub item_no: ItemNo,
    /// The owner of the item, once it is known: the owner sees the renter's name.
    #[serde(skip)]
    pub owner_id: Option<PersonId>,
    /// What the item was called when it was held.
    #[schema(required)]
    pub item_name: Option<String>,
    /// What a day cost when it was held.
    #[schema(required, value_type = Option<i64>)]
    pub item_price: Option<Money>,
    /// What is to be paid.
    #[schema(required, value_type = Option<i64>)]
    pub total_price: Option<Money>,
    /// Of the prices.
    // Tools show amounts alone; HTTP names the currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required, value_type = String, example = "KRW")]
    pub currency: Option<&'static str>,
    #[schema(required, schema_with = period_schema)]
    pub period: Option<RentalPeriod>,
    pub status: ReservationStatus,
    /// The code of why it was rejected.
    #[schema(required)]
    pub reason: Option<String>,
    pub rental_status: RentalStatus,
    pub payment_status: PaymentStatus,
    /// When the time to pay ends, while it runs.
    #[schema(required)]
    pub pay_by: Option<DateTime<Utc>>,
}

/// The period that a request names too, or `null`.
fn period_schema() -> Schema {
    let mut period = Ref::from_schema_name("Period");
    "`null`: from the day of the request until returned.".clone_into(&mut period.description);
    let null = ObjectBuilder::new().schema_type(Type::Null);
    Schema::OneOf(OneOfBuilder::new().item(period).item(null).build())
}

impl View for Reservations {
    const NAME: &'static str = ViewName::Reservations.name();
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
    /// The aggregate's state.
    pub const fn state(&self) -> &Reservation {
        &self.state
    }

    /// The member of `/reservations`, before the name is joined.
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
            currency: None,
            period: request.period,
            status: status(stage)?,
            reason: self.reason.clone(),
            rental_status: rental_status(stage),
            payment_status: payment_status(stage),
            pay_by: pay_by(stage),
        })
    }
}

const fn status(stage: ReservationStage) -> Option<ReservationStatus> {
    match stage {
        ReservationStage::New => None,
        ReservationStage::Requested => Some(ReservationStatus::Requested),
        ReservationStage::Unpaid { .. }
        | ReservationStage::PaymentOpen { .. }
        | ReservationStage::Paid { .. }
        | ReservationStage::CancellationPending { .. } => Some(ReservationStatus::Reserved),
        ReservationStage::Renting { .. } => Some(ReservationStatus::Renting),
        ReservationStage::Completed { .. } => Some(ReservationStatus::Completed),
        ReservationStage::Rejected => Some(ReservationStatus::Rejected),
        ReservationStage::Cancelled => Some(ReservationStatus::Cancelled),
        ReservationStage::Expired => Some(ReservationStatus::Expired),
    }
}

const fn rental_status(stage: ReservationStage) -> RentalStatus {
    match stage {
        ReservationStage::Renting { .. } => RentalStatus::Renting,
        ReservationStage::Completed { .. } => RentalStatus::Returned,
        ReservationStage::New
        | ReservationStage::Requested
        | ReservationStage::Unpaid { .. }
        | ReservationStage::PaymentOpen { .. }
        | ReservationStage::Paid { .. }
        | ReservationStage::CancellationPending { .. }
        | ReservationStage::Rejected
        | ReservationStage::Cancelled
        | ReservationStage::Expired => RentalStatus::NotRenting,
    }
}

const fn payment_status(stage: ReservationStage) -> PaymentStatus {
    match stage {
        ReservationStage::Paid { .. }
        | ReservationStage::CancellationPending { .. }
        | ReservationStage::Renting { .. }
        | ReservationStage::Completed { .. } => PaymentStatus::Paid,
        ReservationStage::New
        | ReservationStage::Requested
        | ReservationStage::Unpaid { .. }
        | ReservationStage::PaymentOpen { .. }
        | ReservationStage::Rejected
        | ReservationStage::Cancelled
        | ReservationStage::Expired => PaymentStatus::NotPaid,
    }
}

const fn pay_by(stage: ReservationStage) -> Option<DateTime<Utc>> {
    match stage {
        ReservationStage::Unpaid { pay_by } => Some(pay_by),
        ReservationStage::New
        | ReservationStage::Requested
        | ReservationStage::PaymentOpen { .. }
        | ReservationStage::Paid { .. }
        | ReservationStage::CancellationPending { .. }
        | ReservationStage::Renting { .. }
        | ReservationStage::Completed { .. }
        | ReservationStage::Rejected
        | ReservationStage::Cancelled
        | ReservationStage::Expired => None,
    }
}
