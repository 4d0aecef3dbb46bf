//! The bodies of writes: small structs that are read field by field, and that the OpenAPI document
//! is made from.

use crate::extract::form::Form;
use crate::problem::field_fault::Fault;
use chrono::NaiveDate;
use gdmarket_domain::{ItemNo, Money, PersonId, RentalPeriod, ReservationNo};
use utoipa::ToSchema;

/// A whole number: a JSON integer, or a string of digits.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it only describes what is taken")]
pub(crate) enum WholeNumber {
    #[schema(example = 100)]
    Number(i64),
    #[schema(example = "100")]
    Digits(String),
}

/// Whole days: `from` is taken, `to` is free again.
#[derive(ToSchema)]
#[schema(as = Period)]
#[expect(dead_code, reason = "it only describes what is taken")]
pub(crate) struct PeriodBody {
    /// Today or later.
    #[schema(example = "2099-01-05")]
    from: NaiveDate,
    /// After `from`, at most 365 days.
    #[schema(example = "2099-01-08")]
    to: NaiveDate,
}

/// What the server decides; the seed's callers send it all the same.
const ITEM_SERVER_OWNED: &[&str] = &["itemStatus", "rentalStatus"];
const RESERVATION_SERVER_OWNED: &[&str] =
    &["itemStatus", "rentalStatus", "paymentStatus", "itemName", "itemPrice"];

/// An item to register. `itemStatus` and `rentalStatus` are taken and ignored.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewItem, example = json!({"itemName": "Camera", "itemPrice": 100}))]
pub(crate) struct NewItemBody {
    /// 1 to 100 characters after normalising (NFC) and trimming, none of them invisible.
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) item_name: String,
    /// Whole won per day, 1 to 1,000,000,000.
    #[schema(value_type = WholeNumber)]
    pub(crate) item_price: Money,
    /// Whose it is, if the operator registers it for someone.
    #[schema(value_type = Option<WholeNumber>)]
    pub(crate) owner_id: Option<PersonId>,
}

impl NewItemBody {
    pub(crate) fn read(form: &mut Form) -> Option<Self> {
        form.ignore(ITEM_SERVER_OWNED);
        let item_name = form.name("itemName");
        let item_name = form.required("itemName", item_name);
        let item_price = form.price("itemPrice");
        let item_price = form.required("itemPrice", item_price);
        let owner_id = form.id("ownerId");
        Some(Self { item_name: item_name?, item_price: item_price?, owner_id })
    }
}

/// An item to reserve. `itemName`, `itemPrice` and the statuses are taken and ignored: name and price
/// are the item's.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewReservation, example = json!({
    "itemNo": 1, "customerId": 9_007_199_254_740_991_i64, "customerName": "Demo Renter",
    "period": {"from": "2099-01-05", "to": "2099-01-08"}
}))]
pub(crate) struct NewReservationBody {
    #[schema(value_type = WholeNumber)]
    pub(crate) item_no: ItemNo,
    /// Whose it will be; a renter may leave it out.
    #[schema(value_type = Option<WholeNumber>)]
    pub(crate) customer_id: Option<PersonId>,
    /// 1 to 100 characters after normalising (NFC) and trimming, none of them invisible.
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) customer_name: Option<String>,
    /// `null` or left out: from now until returned.
    #[schema(value_type = Option<PeriodBody>)]
    pub(crate) period: Option<RentalPeriod>,
}

impl NewReservationBody {
    pub(crate) fn read(form: &mut Form, first_day: Option<NaiveDate>) -> Option<Self> {
        form.ignore(RESERVATION_SERVER_OWNED);
        let item_no = form.id("itemNo");
        let item_no = form.required("itemNo", item_no);
        let customer_id = form.id("customerId");
        let customer_name = form.name("customerName");
        let period = form.period(first_day);
        Some(Self { item_no: item_no?, customer_id, customer_name, period })
    }
}

/// Which reservation is meant; may be left out while only one can be.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WhichReservation, example = json!({"reservationNo": 7}))]
pub(crate) struct WhichReservationBody {
    #[schema(value_type = Option<WholeNumber>)]
    pub(crate) reservation_no: Option<ReservationNo>,
}

impl WhichReservationBody {
    pub(crate) fn read(form: &mut Form) -> Self {
        Self { reservation_no: form.id("reservationNo") }
    }
}

/// Days that the owner keeps back, or gives free again.
#[derive(ToSchema)]
#[schema(as = Days)]
pub(crate) struct DaysBody {
    #[schema(value_type = PeriodBody)]
    pub(crate) period: RentalPeriod,
}

impl DaysBody {
    /// Days that are over may be given free, but not kept back.
    pub(crate) fn read(form: &mut Form, not_before: Option<NaiveDate>) -> Option<Self> {
        let period = form.period(not_before);
        let period = form.required("period", period);
        Some(Self { period: period? })
    }
}

/// What an item's `PATCH` asks for: a transition by its `rentalStatus`, or a new name and price.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ItemPatch, example = json!({"rentalStatus": "Renting", "reservationNo": 1}))]
#[expect(dead_code, reason = "it only describes what is taken")]
pub(crate) struct ItemPatchBody {
    /// `Renting` lends, `Returned` takes back.
    #[schema(pattern = "^(Renting|Returned)$")]
    rental_status: Option<String>,
    /// Which reservation is meant.
    #[schema(value_type = Option<WholeNumber>)]
    reservation_no: Option<ReservationNo>,
    /// The path's number or left out.
    #[schema(value_type = Option<WholeNumber>)]
    item_no: Option<ItemNo>,
    /// `NotRentable` when lending, `Rentable` when taking back, or left out.
    #[schema(pattern = "^(Rentable|NotRentable)$")]
    item_status: Option<String>,
    /// A new name, without a transition.
    #[schema(min_length = 1, max_length = 100)]
    item_name: Option<String>,
    /// A new price, without a transition.
    #[schema(value_type = Option<WholeNumber>)]
    item_price: Option<Money>,
}

/// What an item's `PATCH` means.
#[derive(Debug)]
pub(crate) enum ItemPatch {
    Lend(Option<ReservationNo>),
    Return(Option<ReservationNo>),
    Change { item_name: Option<String>, item_price: Option<Money> },
}

const ITEM_STATUSES: &[&str] = &["Rentable", "NotRentable"];

impl ItemPatch {
    pub(crate) fn read(form: &mut Form, item_no: ItemNo) -> Option<Self> {
        let said = form.id("itemNo");
        form.must_be("itemNo", said, &item_no);
        if form.has("rentalStatus") {
            return Self::transition(form);
        }
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
            form.required::<()>("rentalStatus", None);
            return None;
        }
        let (item_name, item_price) = (form.name("itemName"), form.price("itemPrice"));
        if changed.is_none() || (item_name.is_none() && item_price.is_none() && form.is_faultless())
        {
            form.required::<()>("rentalStatus", None);
        }
        Some(Self::Change { item_name, item_price })
    }

    fn transition(form: &mut Form) -> Option<Self> {
        for field in ["itemName", "itemPrice"] {
            if form.has(field) {
                form.ignore(&[field]);
                form.fault(field, Fault::NotTogetherWith("rentalStatus"));
            }
        }
        let reservation_no = form.id("reservationNo");
        let item_status = form.word("itemStatus", ITEM_STATUSES);
        let rental_status = form.word("rentalStatus", &["Renting", "Returned"]);
        let rental_status = form.required("rentalStatus", rental_status)?;
        if rental_status == "Renting" {
            form.must_be("itemStatus", item_status, &"NotRentable");
            Some(Self::Lend(reservation_no))
        } else {
            form.must_be("itemStatus", item_status, &"Rentable");
            Some(Self::Return(reservation_no))
        }
    }
}

/// What a reservation's `PATCH` asks for, by its `paymentStatus`. `itemName`, `itemPrice` and
/// `customerName` are taken and ignored.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ReservationPatch, example = json!({"paymentStatus": "Paid"}))]
#[expect(dead_code, reason = "it only describes what is taken")]
pub(crate) struct ReservationPatchBody {
    /// `Paid` pays, `NotPaid` takes the payment back.
    #[schema(pattern = "^(Paid|NotPaid)$")]
    payment_status: String,
    /// The path's number or left out.
    #[schema(value_type = Option<WholeNumber>)]
    reservation_no: Option<ReservationNo>,
    /// The reservation's or left out.
    #[schema(value_type = Option<WholeNumber>)]
    item_no: Option<ItemNo>,
    /// The reservation's or left out.
    #[schema(value_type = Option<WholeNumber>)]
    customer_id: Option<PersonId>,
    /// `NotRenting` or left out.
    #[schema(pattern = "^NotRenting$")]
    rental_status: Option<String>,
}

/// What a reservation's `PATCH` means.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReservationPatch {
    Pay,
    TakeBack,
}

/// What a reservation's `PATCH` may repeat.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) reservation_no: ReservationNo,
    pub(crate) item_no: i64,
    pub(crate) customer_id: i64,
}

impl ReservationPatch {
    pub(crate) fn read(form: &mut Form, known: Known) -> Option<Self> {
        form.ignore(&["itemName", "itemPrice", "customerName"]);
        let said = form.id("reservationNo");
        form.must_be("reservationNo", said, &known.reservation_no);
        let said = form.id::<ItemNo>("itemNo").map(ItemNo::get);
        form.must_be("itemNo", said, &known.item_no);
        let said = form.id::<PersonId>("customerId").map(PersonId::get);
        form.must_be("customerId", said, &known.customer_id);
        let said = form.word("rentalStatus", &["NotRenting", "Renting", "Returned"]);
        form.must_be("rentalStatus", said, &"NotRenting");
        let status = form.word("paymentStatus", &["Paid", "NotPaid"]);
        match form.required("paymentStatus", status)? {
            "Paid" => Some(Self::Pay),
            _ => Some(Self::TakeBack),
        }
    }
}
