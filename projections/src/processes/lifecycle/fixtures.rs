//! The fixtures of a search: people, items, moments and days by number.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use gdmarket_domain::{ItemNo, PaymentNo, PersonId, ReservationNo};

/// The number of a state, an event or a row; rows and events begin at 1.
pub(super) type Id = u16;

/// The owner of the item.
pub(super) const OWNER: i64 = 3;

pub(super) fn item_no() -> ItemNo {
    ItemNo::new(1).unwrap()
}

pub(super) fn person(number: i64) -> PersonId {
    PersonId::new(number).unwrap()
}

pub(super) fn owner() -> PersonId {
    person(OWNER)
}

pub(super) fn reservation_no(index: usize) -> ReservationNo {
    ReservationNo::new(i64::try_from(index).unwrap() + 1).unwrap()
}

pub(super) fn payment_no(index: usize, attempt: usize) -> PaymentNo {
    PaymentNo::new(i64::try_from(2 * index + attempt).unwrap() + 1).unwrap()
}

/// The market's first moment.
pub(super) fn minute(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
}

/// The market's days, counted from 1.
pub(super) fn day(number: u8) -> NaiveDate {
    DateTime::UNIX_EPOCH.date_naive() + chrono::Days::new(u64::from(number))
}

/// The first reservation's attempts fail late, the second's early.
pub(super) fn failed_at(payment_no: i64) -> DateTime<Utc> {
    let (request, attempt) = ((payment_no - 1) / 2, (payment_no - 1) % 2 + 1);
    minute(attempt * if request == 0 { 16 } else { 8 })
}
