//! The schema of a resource: the fields of its body and those that HTTP adds, in one object.

use super::{AddedFields, Resource};
use gdmarket_projections::{AlarmBody, ItemBody, PaymentBody, ReservationBody};
use serde_json::{Value, json};
use std::borrow::Cow;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// What only the OpenAPI document says of a body.
pub(super) trait Documented: ToSchema {
    /// Whether its resource lists what a caller may do.
    const HAS_ACTIONS: bool = false;

    /// A resource as an example.
    fn example() -> Option<Value> {
        None
    }
}

impl Documented for ItemBody {
    const HAS_ACTIONS: bool = true;

    fn example() -> Option<Value> {
        Some(json!({
            "itemNo": 1, "itemName": "Camera", "itemPrice": 100, "itemStatus": "Rentable",
            "rentalStatus": "NotRenting", "reservationNo": null, "ownerId": null, "stale": null,
            "actions": [{
                "name": "lend", "allowed": false, "reason": "not-reserved", "method": "POST",
                "href": "/items/1/lend"
            }],
            "_links": {"self": {"href": "/items/1"}, "calendar": {"href": "/items/1/calendar"}}
        }))
    }
}

impl Documented for ReservationBody {
    const HAS_ACTIONS: bool = true;

    fn example() -> Option<Value> {
        Some(json!({
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
        }))
    }
}

impl Documented for PaymentBody {}

impl Documented for AlarmBody {}

impl<B: Documented> ToSchema for Resource<B> {
    fn name() -> Cow<'static, str> {
        B::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        B::schemas(schemas);
        AddedFields::schemas(schemas);
    }
}

impl<B: Documented> PartialSchema for Resource<B> {
    fn schema() -> RefOr<Schema> {
        let (body, added) = (B::schema(), AddedFields::schema());
        let (RefOr::T(Schema::Object(mut object)), RefOr::T(Schema::Object(mut added))) =
            (body, added)
        else {
            return B::schema();
        };
        if !B::HAS_ACTIONS {
            added.properties.remove("actions");
            added.required.retain(|name| name != "actions");
        }
        object.properties.extend(added.properties);
        object.required.extend(added.required);
        object.example = B::example();
        object.into()
    }
}
