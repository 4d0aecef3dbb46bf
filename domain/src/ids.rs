//! The numbers of persons and things of the market, as types that can't be mixed up.
//!
//! Each is the seed's integer, 1 to 2^53 − 1 (what JSON numbers carry exactly), and a stream of the
//! event log is an aggregate type plus one of these. Allocating new ones is the store's business.

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;

/// The largest id that a JSON number carries without loss: 2^53 − 1.
pub const MAX_ID: i64 = (1 << 53) - 1;

/// A number that isn't an id: below 1, beyond 2^53 − 1, or not a number at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is a whole number from 1 to 9007199254740991")]
pub struct IdError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// The id with this number, if it is one: 1 to 2^53 − 1.
            pub const fn new(number: i64) -> Result<Self, IdError> {
                if number >= 1 && number <= MAX_ID { Ok(Self(number)) } else { Err(IdError) }
            }

            /// The number itself.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = IdError;
            fn try_from(number: i64) -> Result<Self, IdError> {
                Self::new(number)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(IdError);
                }
                text.parse().map_err(|_| IdError).and_then(Self::new)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// An item, and its alarm.
    ItemNo
);
id!(
    /// A reservation.
    ReservationNo
);
id!(
    /// One payment attempt; paying again after a cancelled payment is a new one.
    PaymentNo
);
id!(
    /// A person: owner or renter. Names live outside the log, by this number.
    PersonId
);
