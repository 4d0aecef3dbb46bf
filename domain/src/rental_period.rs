//! Days of renting: half-open, so that one renter may fetch on the day another brings back.
//!
//! [`RentalPeriod`] is what a renter or owner asks for; [`Span`] is an entry of an item's
//! calendar, where "until returned" has no last day.

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, Serialize};

/// The longest period, in days.
pub const MAX_DAYS: i64 = 365;

/// Whole days in the market's time zone, `from` taken, `to` free again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct RentalPeriod {
    from: NaiveDate,
    to: NaiveDate,
}

/// A period that isn't one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// `from` isn't before `to`.
    #[error("the first day must be before the day of return")]
    UpsideDown,
    /// More than 365 days.
    #[error("a period has at most {MAX_DAYS} days")]
    TooLong,
}

impl RentalPeriod {
    /// The days from `from` up to, not including, `to`.
    pub fn new(from: NaiveDate, to: NaiveDate) -> Result<Self, PeriodError> {
        if from >= to {
            return Err(PeriodError::UpsideDown);
        }
        if (to - from).num_days() > MAX_DAYS {
            return Err(PeriodError::TooLong);
        }
        Ok(Self { from, to })
    }

    /// The first day.
    pub const fn from(self) -> NaiveDate {
        self.from
    }

    /// The day of return, free for the next renter.
    pub const fn to(self) -> NaiveDate {
        self.to
    }

    /// How many days are paid for, 1 to 365.
    pub fn days(self) -> i64 {
        (self.to - self.from).num_days()
    }

    /// What is left of these days without those of `other`: none, one or two ranges.
    pub fn without(self, other: Self) -> impl Iterator<Item = Self> {
        let before = Self { from: self.from, to: self.to.min(other.from) };
        let after = Self { from: self.from.max(other.to), to: self.to };
        [before, after].into_iter().filter(|rest| rest.from < rest.to)
    }
}

impl<'de> Deserialize<'de> for RentalPeriod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            from: NaiveDate,
            to: NaiveDate,
        }
        let raw = Raw::deserialize(deserializer)?;
        Self::new(raw.from, raw.to).map_err(serde::de::Error::custom)
    }
}

/// A range of days in an item's calendar: half-open, without end while `to` is `None` (until returned).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first day taken.
    pub from: NaiveDate,
    /// The first day free again; `None` until the item is returned.
    pub to: Option<NaiveDate>,
}

impl Span {
    /// The range of a request: its period, or without one from the day of the request.
    pub fn requested(period: Option<RentalPeriod>, asked_on: NaiveDate) -> Self {
        match period {
            Some(period) => period.into(),
            None => Self { from: asked_on, to: None },
        }
    }

    /// Whether the last day is over by `today`; never without an end.
    pub fn is_over(&self, today: NaiveDate) -> bool {
        self.to.is_some_and(|to| to <= today)
    }

    /// The range of a rental that isn't back on `today`: it takes that day too, if not more.
    #[must_use]
    pub fn through(self, today: NaiveDate) -> Self {
        let tomorrow = today.succ_opt().unwrap_or(today);
        Self { from: self.from, to: self.to.map(|to| to.max(tomorrow)) }
    }

    /// Whether a day is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let starts_before_end = |a: &Self, b: &Self| b.to.is_none_or(|end| a.from < end);
        starts_before_end(self, other) && starts_before_end(other, self)
    }
}

impl From<RentalPeriod> for Span {
    fn from(period: RentalPeriod) -> Self {
        Self { from: period.from, to: Some(period.to) }
    }
}
