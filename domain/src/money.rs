//! Whole won. The currency has no smaller unit, so neither has this type, and no float comes near.

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// An amount of Korean won, 0 or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Money(i64);

/// The highest price of one day: a thousand million won.
pub const MAX_PRICE: i64 = 1_000_000_000;

/// A price outside 1 … 1,000,000,000 won.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a price is a whole number of won from 1 to 1000000000")]
pub struct PriceError;

impl Money {
    /// A price per day, 1 … 1,000,000,000 won.
    pub const fn price(won: i64) -> Result<Self, PriceError> {
        if won >= 1 && won <= MAX_PRICE { Ok(Self(won)) } else { Err(PriceError) }
    }

    /// Whole won.
    pub const fn won(self) -> i64 {
        self.0
    }

    /// This amount times a number of days. A price (at most 10^9) times a period (at most 365 days)
    /// is far from the end of `i64`; it saturates all the same.
    #[must_use]
    pub const fn times(self, days: i64) -> Self {
        Self(self.0.saturating_mul(days))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KRW", self.0)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let won = i64::deserialize(deserializer)?;
        if won < 0 {
            return Err(serde::de::Error::custom("money is never negative"));
        }
        Ok(Self(won))
    }
}
