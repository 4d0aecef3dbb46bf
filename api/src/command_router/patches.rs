//! What the `PATCH` of an item and of a reservation means.

use crate::extract::body::{Body, Documentation, FieldValue, add, body, closed_object, nullable};
use crate::extract::fields::LINKS;
use crate::extract::form::Form;
use crate::extract::values::words;
use crate::problem::field_fault::Fault;
use gdmarket_domain::{ItemNo, Money, PersonId, ReservationNo};
use serde_json::json;
use std::borrow::Cow;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

body! {
    /// What a reservation's `PATCH` asks for, by its `paymentStatus`. `itemName`, `itemPrice` and
    /// `customerName` are taken and ignored.
    pub(crate) struct ReservationPatchBody as "ReservationPatch"
    ignores ["itemName", "itemPrice", "customerName", LINKS]
    eg {"paymentStatus": "Paid"} {
        /// The path's number or left out.
        "reservationNo" => _reservation_no: Option<ReservationNo>;
        /// The reservation's or left out.
        "itemNo" => _item_no: Option<ItemNo>;
        /// The reservation's or left out.
        "customerId" => _customer_id: Option<PersonId>;
        "rentalStatus" => _rental_status: Option<NotRenting>;
        /// `Paid` pays, `NotPaid` takes the payment back.
        "paymentStatus" => payment_status: ReservationPatch;
    }
}

/// What a reservation's `PATCH` means.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReservationPatch {
    Pay,
    TakeBack,
}

const PAYMENT_STATUSES: &[&str] = &["Paid", "NotPaid"];

impl FieldValue for ReservationPatch {
    fn read(form: &mut Form, name: &str) -> Option<Self> {
        let word = form.word(name, PAYMENT_STATUSES)?;
        Some(if word == "Paid" { Self::Pay } else { Self::TakeBack })
    }

    fn schema() -> RefOr<Schema> {
        words(PAYMENT_STATUSES).schema_type(Type::String).into()
    }
}

/// The `rentalStatus` that a reservation's `PATCH` may repeat.
#[derive(Debug)]
pub(crate) struct NotRenting;

impl FieldValue for NotRenting {
    fn read(form: &mut Form, name: &str) -> Option<Self> {
        let word = form.word(name, &["NotRenting", "Renting", "Returned"])?;
        form.refuse_other_than("NotRenting", name, &word);
        Some(Self)
    }

    fn schema() -> RefOr<Schema> {
        words(&["NotRenting"]).into()
    }
}

/// What an item's `PATCH` means: a transition by its `rentalStatus`, or a new name and price.
#[derive(Debug)]
pub(crate) enum ItemPatch {
    Lend(Option<ReservationNo>),
    Return(Option<ReservationNo>),
    Change { item_name: Option<String>, item_price: Option<Money> },
}

impl Body for ItemPatch {
    fn read(form: &mut Form) -> Option<Self> {
        let _: Option<ItemNo> = FieldValue::read(form, "itemNo");
        if form.has("rentalStatus") { Self::transition(form) } else { Self::change(form) }
    }
}

impl ItemPatch {
    fn transition(form: &mut Form) -> Option<Self> {
        for field in ["itemName", "itemPrice"] {
            if form.has(field) {
                form.ignore(&[field]);
                form.fault(field, Fault::NotTogetherWith("rentalStatus"));
            }
        }
        let reservation_no = FieldValue::read(form, "reservationNo");
        let item_status = form.word("itemStatus", &["Rentable", "NotRentable"]);
        let rental_status = form.word("rentalStatus", &["Renting", "Returned"]);
        let (patch, expected) = match form.required("rentalStatus", rental_status)? {
            "Renting" => (Self::Lend(reservation_no), "NotRentable"),
            _ => (Self::Return(reservation_no), "Rentable"),
        };
        if let Some(item_status) = item_status {
            form.refuse_other_than(expected, "itemStatus", &item_status);
        }
        Some(patch)
    }

    fn change(form: &mut Form) -> Option<Self> {
        let changed = ["itemName", "itemPrice"].into_iter().find(|field| form.has(field));
        let mut is_transition = false;
        for field in ["reservationNo", "itemStatus"] {
            if form.has(field) {
                form.ignore(&[field]);
                match changed {
                    Some(other) => form.fault(field, Fault::NotTogetherWith(other)),
                    None => is_transition = true,
                }
            }
        }
        if is_transition {
            return form.required("rentalStatus", None);
        }
        let (item_name, item_price) =
            (FieldValue::read(form, "itemName"), FieldValue::read(form, "itemPrice"));
        let is_empty = item_name.is_none() && item_price.is_none() && form.is_faultless();
        if changed.is_none() || is_empty {
            return form.required("rentalStatus", None);
        }
        Some(Self::Change { item_name, item_price })
    }
}

impl PartialSchema for ItemPatch {
    fn schema() -> RefOr<Schema> {
        let plain = Documentation::default;
        let shape = || add::<Option<ItemNo>>(closed_object(&[LINKS]), "itemNo", plain());
        let transition = |rental_status: &str, item_status: &str| {
            add::<Option<ReservationNo>>(shape(), "reservationNo", plain())
                .property("rentalStatus", constant(rental_status))
                .required("rentalStatus")
                .property("itemStatus", nullable(words(&[item_status]).into()))
        };
        let (name, price) = (add::<String>, add::<Money>);
        let (maybe_name, maybe_price) = (add::<Option<String>>, add::<Option<Money>>);
        AnyOfBuilder::new()
            .description(Some(
                "A transition by its `rentalStatus` (`Renting` lends, `Returned` takes back), or a new \
                 name and price. `itemNo` is the path's or left out.",
            ))
            .examples([json!({"rentalStatus": "Renting", "reservationNo": 1}), json!({"itemPrice": 200})])
            .item(transition("Renting", "NotRentable"))
            .item(transition("Returned", "Rentable"))
            .item(maybe_price(name(shape(), "itemName", plain()), "itemPrice", plain()))
            .item(maybe_name(price(shape(), "itemPrice", plain()), "itemName", plain()))
            .into()
    }
}

impl ToSchema for ItemPatch {
    fn name() -> Cow<'static, str> {
        "ItemPatch".into()
    }
}

/// A word that a field must have. utoipa has no `const`, but writes what it takes for an extension as it is.
fn constant(word: &str) -> ObjectBuilder {
    let extension = Extensions::from_iter([("const", word)]);
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).extensions(Some(extension))
}
