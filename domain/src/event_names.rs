//! Which wire names there are: serde itself is asked, so that no list of them can be out of date.

use crate::{AlarmEvent, HoldEvent, ItemEvent, PaymentEvent, ReservationEvent};
use serde::de::value::Error;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;
use std::sync::LazyLock;

static ALL: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let of_each = [
        event_names_of::<ItemEvent>(),
        event_names_of::<ReservationEvent>(),
        event_names_of::<PaymentEvent>(),
        event_names_of::<AlarmEvent>(),
        event_names_of::<HoldEvent>(),
    ];
    of_each.concat()
});

/// The wire names of all events of the market.
pub fn event_names() -> &'static [&'static str] {
    &ALL
}

/// The wire names of all variants of an aggregate's events.
pub fn event_names_of<E: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    drop(E::deserialize(Names(&mut names)));
    names
}

struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("only an enum has names"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = variants;
        Err(Error::custom("the names are all that is wanted"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
