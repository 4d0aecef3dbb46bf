//! The values of fields: how each is read, and which schema describes it.

use super::body::FieldValue;
use super::form::{Form, text};
use super::number::whole_number;
use crate::problem::field_fault::{Fault, shape};
use chrono::NaiveDate;
use gdmarket_domain::ids::MAX_ID;
use gdmarket_domain::money::MAX_PRICE;
use gdmarket_domain::name::MAX_NAME;
use gdmarket_domain::{ItemNo, Money, NameError, PersonId, ReservationNo, checked_name};
use serde_json::json;
use utoipa::openapi::schema::{
    KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr, Schema};

/// The schemas of numbers, which other schemas refer to.
pub(crate) fn number_schemas() -> [(&'static str, RefOr<Schema>); 2] {
    [
        ("WholeNumber", whole("A number: an integer, or its digits.", MAX_ID)),
        ("Price", whole("Whole won: an integer, or its digits.", MAX_PRICE)),
    ]
}

/// A JSON integer, or a string of its digits.
fn whole(description: &str, most: i64) -> RefOr<Schema> {
    // So many digits are surely below the limit.
    let more = most.to_string().len().saturating_sub(2);
    let digits = ObjectBuilder::new().schema_type(Type::String);
    OneOfBuilder::new()
        .description(Some(description))
        .examples([json!(100), json!("100")])
        .item(integer(most))
        .item(digits.pattern(Some(format!("^[1-9][0-9]{{0,{more}}}$"))))
        .into()
}

/// A JSON integer from 1 to a limit.
pub(crate) fn integer(most: i64) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(most))
}

/// One of these words, without a type, so that `null` can be one more.
pub(crate) fn words(words: &[&str]) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).enum_values(Some(words.iter().copied()))
}

/// A name, by the domain's rule.
impl FieldValue for String {
    fn read(form: &mut Form, name: &str) -> Option<Self> {
        form.read(name, |json| checked_name(&text(json)?).map_err(name_fault))
    }

    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.min_length(Some(1)).max_length(Some(MAX_NAME)).into()
    }
}

/// The price of one day.
impl FieldValue for Money {
    fn read(form: &mut Form, name: &str) -> Option<Self> {
        let range = Fault::OutOfRange(1, MAX_PRICE);
        form.read(name, |json| Self::price(whole_number(json, 1, MAX_PRICE)?).map_err(|_| range))
    }

    fn schema() -> RefOr<Schema> {
        Ref::from_schema_name("Price").into()
    }
}

macro_rules! ids {
    ($($id:ty)*) => {$(
        impl FieldValue for $id {
            fn read(form: &mut Form, name: &str) -> Option<Self> {
                let range = Fault::OutOfRange(1, MAX_ID);
                form.read(name, |json| Self::new(whole_number(json, 1, MAX_ID)?).map_err(|_| range))
            }

            fn schema() -> RefOr<Schema> {
                Ref::from_schema_name("WholeNumber").into()
            }
        }
    )*};
}

ids! { ItemNo ReservationNo PersonId }

impl FieldValue for NaiveDate {
    fn read(form: &mut Form, name: &str) -> Option<Self> {
        form.read(name, |json| day(&text(json)?))
    }

    fn schema() -> RefOr<Schema> {
        let date = SchemaFormat::KnownFormat(KnownFormat::Date);
        ObjectBuilder::new().schema_type(Type::String).format(Some(date)).into()
    }
}

const fn name_fault(error: NameError) -> Fault {
    match error {
        NameError::Empty => Fault::Empty,
        NameError::TooLong => Fault::TooLong(MAX_NAME),
        NameError::ControlCharacter => Fault::ControlCharacter,
        NameError::Invisible(character) => Fault::InvisibleCharacter(character),
    }
}

/// A day as `YYYY-MM-DD`, exactly.
pub(super) fn day(text: &str) -> Result<NaiveDate, Fault> {
    let is_shaped = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    is_shaped
        .then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
        .flatten()
        .ok_or(Fault::WrongType(shape::DAY))
}

#[cfg(test)]
mod tests {
    use super::super::json_object::parse;
    use super::*;

    #[test]
    fn all_faults_are_reported_at_once() {
        let json = br#"{"itemName": " ", "itemPrice": 0, "itemNo": "x", "colour": 1}"#;
        let mut form = Form::new(parse(json).unwrap());
        String::read(&mut form, "itemName");
        Money::read(&mut form, "itemPrice");
        ItemNo::read(&mut form, "itemNo");
        form.refuse_the_rest();
        let reported = form.faults.iter().map(|fault| (fault.field.as_str(), fault.fault.code()));
        let expected = [
            ("itemName", "empty"),
            ("itemPrice", "out-of-range"),
            ("itemNo", "wrong-type"),
            ("colour", "unknown-field"),
        ];
        assert_eq!(reported.collect::<Vec<_>>(), expected);
    }
}
