//! Handing over and taking back, and which of a cancellation and a handing over wins when they meet: the one
//! that reaches this stream first.

use super::{Booking, Item, ItemError, ItemEvent, Listing};
use crate::decider::{Decision, no_change};
use crate::ids::ReservationNo;
use chrono::NaiveDate;

pub(super) fn authorize_lending(item: &Item, reservation_no: ReservationNo) -> Decision<Item> {
    match (item.listed(), item.hold_of(reservation_no)) {
        (Some(_), Some(Booking { authorized: true, .. })) => no_change(),
        (Some(item_no), Some(_)) => {
            Ok(vec![ItemEvent::LendingAuthorized { item_no, reservation_no }])
        }
        (None, _) | (_, None) => Err(ItemError::NoHold),
    }
}

/// Always one of two events: the cancellation waits for the answer. It is taken from the hold alone,
/// since the authorisation may still be on its way.
pub(super) fn revoke_lending(item: &Item, reservation_no: ReservationNo) -> Decision<Item> {
    let item_no = match item.listing() {
        Some(Listing::Registered { item_no, .. } | Listing::Deleted { item_no, .. }) => *item_no,
        Some(Listing::Abandoned) | None => return Err(ItemError::OutOfOrder),
    };
    Ok(vec![if item.hold_of(reservation_no).is_some() {
        ItemEvent::LendingRevoked { item_no, reservation_no }
    } else {
        ItemEvent::LendingRevocationRefused { item_no, reservation_no }
    }])
}

pub(super) fn lend(
    item: &Item,
    reservation_no: Option<ReservationNo>,
    today: NaiveDate,
) -> Decision<Item> {
    let item_no = item.listed().ok_or(ItemError::NotFound)?;
    if reservation_no.is_some_and(|named| item.is_rented_by(named)) {
        return no_change();
    }
    let hold = meant_hold(item, reservation_no)?;
    if !hold.authorized {
        return Err(ItemError::NotPaid);
    }
    if today < hold.span.from {
        return Err(ItemError::TooEarly { from: hold.span.from });
    }
    if let Some(to) = hold.span.to.filter(|to| *to <= today) {
        return Err(ItemError::PeriodOver { to });
    }
    if item.rental().is_some() {
        return Err(ItemError::StillRented);
    }
    Ok(vec![ItemEvent::Rented { item_no, reservation_no: hold.reservation_no }])
}

pub(super) fn return_item(item: &Item, reservation_no: Option<ReservationNo>) -> Decision<Item> {
    let item_no = item.listed().ok_or(ItemError::NotFound)?;
    let rental = item.rental().map(|rental| rental.reservation_no);
    match (rental, reservation_no) {
        (Some(current), named) if named.is_none_or(|named| named == current) => {
            Ok(vec![ItemEvent::Returned { item_no, reservation_no: current }])
        }
        (_, Some(named)) if item.was_returned_last_by(named) => no_change(),
        (Some(_) | None, _) => Err(ItemError::NotRenting),
    }
}

/// The hold that is meant: the named one, else the only one.
fn meant_hold(item: &Item, named: Option<ReservationNo>) -> Result<&Booking, ItemError> {
    match (named, item.holds()) {
        (Some(named), _) => item.hold_of(named).ok_or(ItemError::NotReserved),
        (None, []) => Err(ItemError::NotReserved),
        (None, [only]) => Ok(only),
        (None, [_, _, ..]) => Err(ItemError::WhichReservation),
    }
}
