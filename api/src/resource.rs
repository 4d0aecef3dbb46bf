//! What callers see of items, reservations, payments and alarms: field names and values of the seed,
//! absent ones `null` and never left out. Both routers answer with these; neither side's own types
//! reach a caller.

mod actions;
mod links;
pub(crate) mod render;
mod statuses;

pub(crate) use actions::{Action, item_actions, reservation_actions};
pub(crate) use links::{Link, Links};
pub(crate) use statuses::{
    AlarmStatusWord, ItemStatusWord, PaymentStatusWord, PaymentWord, RentalStatusWord,
    ReservationWord,
};

use chrono::{DateTime, NaiveDate, Utc};
use gdmarket_domain::Actor;
use serde::Serialize;
use utoipa::ToSchema;

/// Something with a version: its `ETag`.
#[derive(Debug, Clone)]
pub(crate) struct Versioned<T> {
    pub(crate) version: i64,
    pub(crate) body: T,
}

/// Why a row stands still although its stream went on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Stale {
    /// When the event that couldn't be taken in was recorded.
    pub(crate) since: DateTime<Utc>,
    /// Why it couldn't.
    pub(crate) reason: String,
}

/// Whole days in the market's time zone: `from` is taken, `to` is free again.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct Period {
    /// The first day.
    pub(crate) from: NaiveDate,
    /// The day of return.
    pub(crate) to: NaiveDate,
}

/// An item of the market.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Item, example = json!({
    "itemNo": 1, "itemName": "Camera", "itemPrice": 100, "itemStatus": "Rentable",
    "rentalStatus": "NotRenting", "reservationNo": null, "ownerId": null, "stale": null,
    "actions": [{
        "name": "lend", "allowed": false, "reason": "not-reserved", "method": "POST",
        "href": "/items/1/lend"
    }],
    "_links": {"self": {"href": "/items/1"}, "calendar": {"href": "/items/1/calendar"}}
}))]
pub(crate) struct ItemResource {
    pub(crate) item_no: i64,
    pub(crate) item_name: String,
    /// Whole won per day.
    pub(crate) item_price: i64,
    #[schema(value_type = ItemStatusWord)]
    pub(crate) item_status: &'static str,
    #[schema(value_type = RentalStatusWord)]
    pub(crate) rental_status: &'static str,
    /// The rental that stands, else the earliest hold.
    #[schema(required)]
    pub(crate) reservation_no: Option<i64>,
    /// Whose it is; an item without an owner is the operator's.
    #[schema(required)]
    pub(crate) owner_id: Option<i64>,
    #[schema(required)]
    pub(crate) stale: Option<Stale>,
    /// What this actor may do now.
    pub(crate) actions: Vec<Action>,
    #[serde(rename = "_links")]
    pub(crate) links: Links,
}

/// The owner's integrated view of an item.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ItemInfo)]
pub(crate) struct ItemInfoResource {
    #[serde(flatten)]
    pub(crate) item: ItemResource,
    /// Who holds or has it.
    #[schema(required)]
    pub(crate) customer_id: Option<i64>,
    /// Their name for this reservation, as long as it is known; shown to them, to the item's owner and
    /// to operators.
    #[schema(required)]
    pub(crate) customer_name: Option<String>,
    /// What the item's alarm announced last.
    #[schema(required, value_type = Option<AlarmStatusWord>)]
    pub(crate) alarm_status: Option<&'static str>,
}

/// A reservation.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Reservation, example = json!({
    "reservationNo": 1, "customerId": 1, "customerName": "YoungEunSong", "itemNo": 1,
    "itemName": "Camera", "itemPrice": 100, "totalPrice": 100, "currency": "KRW",
    "period": null, "status": "Reserved", "reason": null, "rentalStatus": "NotRenting",
    "paymentStatus": "NotPaid", "payBy": "2099-01-05T03:15:00Z", "stale": null,
    "actions": [{
        "name": "pay", "allowed": true, "reason": null, "method": "POST",
        "href": "/reservations/1/payment"
    }],
    "_links": {
        "self": {"href": "/reservations/1"}, "trace": {"href": "/reservations/1/trace"}
    }
}))]
pub(crate) struct ReservationResource {
    pub(crate) reservation_no: i64,
    pub(crate) customer_id: i64,
    /// The name that came with it, as long as it is known; shown to its renter, to the item's owner and
    /// to operators.
    #[schema(required)]
    pub(crate) customer_name: Option<String>,
    pub(crate) item_no: i64,
    /// What the item was called when it was held.
    #[schema(required)]
    pub(crate) item_name: Option<String>,
    /// What a day cost when it was held.
    #[schema(required)]
    pub(crate) item_price: Option<i64>,
    /// What is to be paid.
    #[schema(required)]
    pub(crate) total_price: Option<i64>,
    /// Of the prices.
    #[schema(value_type = String, example = "KRW")]
    pub(crate) currency: &'static str,
    /// `null`: from the day it was asked until returned.
    #[schema(required)]
    pub(crate) period: Option<Period>,
    #[schema(value_type = ReservationWord)]
    pub(crate) status: &'static str,
    /// The code of why it was rejected.
    #[schema(required)]
    pub(crate) reason: Option<String>,
    #[schema(value_type = RentalStatusWord)]
    pub(crate) rental_status: &'static str,
    #[schema(value_type = PaymentStatusWord)]
    pub(crate) payment_status: &'static str,
    /// When the time to pay ends, while it runs.
    #[schema(required)]
    pub(crate) pay_by: Option<DateTime<Utc>>,
    #[schema(required)]
    pub(crate) stale: Option<Stale>,
    /// What this actor may do now.
    pub(crate) actions: Vec<Action>,
    #[serde(rename = "_links")]
    pub(crate) links: Links,
}

/// One attempt to pay a reservation.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Payment)]
pub(crate) struct PaymentResource {
    pub(crate) payment_no: i64,
    pub(crate) reservation_no: i64,
    pub(crate) item_no: i64,
    /// What is charged: the reservation's total, under the seed's name.
    pub(crate) item_price: i64,
    #[schema(value_type = String, example = "KRW")]
    pub(crate) currency: &'static str,
    #[schema(value_type = PaymentStatusWord)]
    pub(crate) payment_status: &'static str,
    #[schema(value_type = PaymentWord)]
    pub(crate) status: &'static str,
    /// Why it was declined.
    #[schema(required)]
    pub(crate) reason: Option<String>,
    #[schema(required)]
    pub(crate) stale: Option<Stale>,
    #[serde(rename = "_links")]
    pub(crate) links: Links,
}

/// An item's alarm; it has the item's number.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Alarm)]
pub(crate) struct AlarmResource {
    pub(crate) alarm_no: i64,
    pub(crate) item_no: i64,
    #[schema(value_type = AlarmStatusWord)]
    pub(crate) alarm_status: &'static str,
    #[schema(required)]
    pub(crate) stale: Option<Stale>,
    #[serde(rename = "_links")]
    pub(crate) links: Links,
}

impl ItemInfoResource {
    /// Without the name for a caller that doesn't say who it is.
    pub(crate) fn shown_to(self, actor: &Actor) -> Self {
        let customer_name = self.customer_name.filter(|_| *actor != Actor::Anonymous);
        Self { customer_name, ..self }
    }
}

impl ReservationResource {
    /// Without the name for a caller that doesn't say who it is.
    pub(crate) fn shown_to(self, actor: &Actor) -> Self {
        let customer_name = self.customer_name.filter(|_| *actor != Actor::Anonymous);
        Self { customer_name, ..self }
    }
}

/// The currency of the market.
pub(crate) const KRW: &str = "KRW";
