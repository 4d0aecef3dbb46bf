//! Short constructors of an item's commands: item 1, owner 3, renter 7, days of January 2027.

use chrono::NaiveDate;
use gdmarket_domain::{ItemCommand, ItemNo, Money, PersonId, RentalPeriod, ReservationNo};

pub(crate) fn register() -> ItemCommand {
    ItemCommand::Register {
        item_no: item_no(),
        owner_id: Some(owner()),
        item_name: "drill".into(),
        item_price: Money::price(100).unwrap(),
    }
}

pub(crate) fn change(name: Option<&str>, price: Option<i64>) -> ItemCommand {
    ItemCommand::Change {
        item_name: name.map(str::to_owned),
        item_price: price.map(|won| Money::price(won).unwrap()),
    }
}

pub(crate) fn delete() -> ItemCommand {
    ItemCommand::Delete
}

pub(crate) fn abandon() -> ItemCommand {
    ItemCommand::AbandonRegistration { item_no: item_no() }
}

pub(crate) fn block(from: u32, to: u32) -> ItemCommand {
    ItemCommand::BlockPeriod { period: period(from, to) }
}

pub(crate) fn unblock(from: u32, to: u32) -> ItemCommand {
    ItemCommand::UnblockPeriod { period: period(from, to) }
}

/// A hold requested on the first of January.
pub(crate) fn hold(r: i64, days: Option<(u32, u32)>) -> ItemCommand {
    hold_requested_on(1, r, days)
}

pub(crate) fn hold_requested_on(asked_on: u32, r: i64, days: Option<(u32, u32)>) -> ItemCommand {
    hold_for(7, asked_on, r, days)
}

pub(crate) fn hold_for(
    renter: i64,
    asked_on: u32,
    r: i64,
    days: Option<(u32, u32)>,
) -> ItemCommand {
    ItemCommand::Hold {
        reservation_no: reservation(r),
        renter_id: PersonId::new(renter).unwrap(),
        period: days.map(|(from, to)| period(from, to)),
        asked_on: day(asked_on),
    }
}

pub(crate) fn release(r: i64) -> ItemCommand {
    ItemCommand::Release { reservation_no: reservation(r) }
}

pub(crate) fn authorize(r: i64) -> ItemCommand {
    ItemCommand::AuthorizeLending { reservation_no: reservation(r) }
}

pub(crate) fn revoke(r: i64) -> ItemCommand {
    ItemCommand::RevokeLending { reservation_no: reservation(r) }
}

pub(crate) fn lend(r: Option<i64>, today: u32) -> ItemCommand {
    ItemCommand::Lend { reservation_no: r.map(reservation), today: day(today) }
}

pub(crate) fn return_item(r: Option<i64>) -> ItemCommand {
    ItemCommand::Return { reservation_no: r.map(reservation) }
}

pub(crate) fn item_no() -> ItemNo {
    ItemNo::new(1).unwrap()
}

pub(crate) fn owner() -> PersonId {
    PersonId::new(3).unwrap()
}

pub(crate) fn reservation(number: i64) -> ReservationNo {
    ReservationNo::new(number).unwrap()
}

pub(crate) fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2027, 1, day).unwrap()
}

pub(crate) fn period(from: u32, to: u32) -> RentalPeriod {
    RentalPeriod::new(day(from), day(to)).unwrap()
}
