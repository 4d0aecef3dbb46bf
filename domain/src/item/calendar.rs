//! Whose days are whose: holds, releases and the owner's blocks. No two ranges ever overlap.

use super::{Item, ItemError, ItemEvent, Listing, MAX_BLOCKS};
use crate::decider::{Decision, no_change};
use crate::ids::{PersonId, ReservationNo};
use crate::rental_period::{RentalPeriod, Span};
use chrono::NaiveDate;

/// The days that a reservation requests.
pub(super) struct RequestedHold {
    pub(super) reservation_no: ReservationNo,
    pub(super) renter_id: PersonId,
    /// Without a period the days from `asked_on` until the item is returned.
    pub(super) period: Option<RentalPeriod>,
    pub(super) asked_on: NaiveDate,
}

/// Name, price and owner go into the event as they are now, for later changes don't concern it.
pub(super) fn hold(item: &Item, requested: &RequestedHold) -> Decision<Item> {
    let RequestedHold { reservation_no, renter_id, period, asked_on } = *requested;
    let (item_no, owner_id, item_name, item_price) = match item.listing() {
        None | Some(Listing::Abandoned) => return Err(ItemError::Unknown),
        Some(Listing::Deleted { .. }) => return Err(ItemError::Gone),
        Some(Listing::Registered { item_no, owner_id, item_name, item_price }) => {
            (*item_no, *owner_id, item_name.clone(), *item_price)
        }
    };
    if item.hold_of(reservation_no).is_some() || item.is_rented_by(reservation_no) {
        return no_change();
    }
    if owner_id == Some(renter_id) {
        return Err(ItemError::OwnItem);
    }
    let span = Span::requested(period, asked_on);
    if is_booked(item, span) || is_still_out(item, span, asked_on) {
        return Err(ItemError::Taken);
    }
    if item.blocks().iter().any(|block| span.overlaps(&Span::from(*block))) {
        return Err(ItemError::Blocked);
    }
    Ok(vec![ItemEvent::Held {
        item_no,
        reservation_no,
        renter_id,
        owner_id,
        period,
        from: span.from,
        item_name,
        item_price,
    }])
}

/// Days that aren't held need no release; a rented item comes back by its return only.
pub(super) fn release(item: &Item, reservation_no: ReservationNo) -> Decision<Item> {
    match (item.listed(), item.hold_of(reservation_no)) {
        (Some(item_no), Some(_)) => Ok(vec![ItemEvent::Released { item_no, reservation_no }]),
        (None, _) | (_, None) => no_change(),
    }
}

/// Days that are blocked already stay so; the event names only those that weren't, so that blocks
/// never overlap and a reader of the log may simply add them up.
pub(super) fn block_period(item: &Item, period: RentalPeriod) -> Decision<Item> {
    let item_no = item.listed().ok_or(ItemError::NotFound)?;
    if is_booked(item, period.into()) {
        return Err(ItemError::Taken);
    }
    let mut new = vec![period];
    for block in item.blocks() {
        new = new.into_iter().flat_map(|part| part.without(*block)).collect();
    }
    if item.blocks().len().saturating_add(new.len()) > MAX_BLOCKS {
        return Err(ItemError::TooManyBlocks);
    }
    Ok(new.into_iter().map(|period| ItemEvent::PeriodBlocked { item_no, period }).collect())
}

/// A block of which only some days are unblocked is removed as a whole and its rest comes back: every
/// `PeriodUnblocked` takes away exactly what one `PeriodBlocked` added.
pub(super) fn unblock_period(item: &Item, period: RentalPeriod) -> Decision<Item> {
    let item_no = item.listed().ok_or(ItemError::NotFound)?;
    let free = Span::from(period);
    let mut events = vec![];
    for block in item.blocks().iter().copied().filter(|b| free.overlaps(&Span::from(*b))) {
        events.push(ItemEvent::PeriodUnblocked { item_no, period: block });
        let rest = block.without(period);
        events.extend(rest.map(|period| ItemEvent::PeriodBlocked { item_no, period }));
    }
    Ok(events)
}

/// Whether these days include one that a rental which isn't back takes today, whatever its period.
fn is_still_out(item: &Item, span: Span, today: NaiveDate) -> bool {
    item.rental().is_some_and(|rental| rental.span.through(today).overlaps(&span))
}

fn is_booked(item: &Item, span: Span) -> bool {
    item.holds().iter().chain(item.rental()).any(|booking| booking.span.overlaps(&span))
}
