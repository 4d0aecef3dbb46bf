//! Which decision answers which command, who may send it, and the decisions about the listing itself.

use super::{Item, ItemCommand, ItemError, ItemEvent, Listing, calendar, lending};
use crate::actor::Actor;
use crate::decider::{Decision, no_change};
use crate::ids::{ItemNo, PersonId};
use crate::money::Money;

pub(super) fn decide(item: &Item, command: &ItemCommand) -> Decision<Item> {
    match command {
        ItemCommand::Register { item_no, owner_id, item_name, item_price } => {
            let listing = NewListing {
                item_no: *item_no,
                owner_id: *owner_id,
                item_name,
                item_price: *item_price,
            };
            register(item, &listing)
        }
        ItemCommand::Change { item_name, item_price } => {
            change(item, item_name.as_deref(), *item_price)
        }
        ItemCommand::Delete => delete(item),
        ItemCommand::AbandonRegistration { item_no } => abandon_registration(item, *item_no),
        ItemCommand::BlockPeriod { period } => calendar::block_period(item, *period),
        ItemCommand::UnblockPeriod { period } => calendar::unblock_period(item, *period),
        ItemCommand::Hold { reservation_no, renter_id, period, asked_on } => {
            let requested = calendar::RequestedHold {
                reservation_no: *reservation_no,
                renter_id: *renter_id,
                period: *period,
                asked_on: *asked_on,
            };
            calendar::hold(item, &requested)
        }
        ItemCommand::Release { reservation_no } => calendar::release(item, *reservation_no),
        ItemCommand::AuthorizeLending { reservation_no } => {
            lending::authorize_lending(item, *reservation_no)
        }
        ItemCommand::RevokeLending { reservation_no } => {
            lending::revoke_lending(item, *reservation_no)
        }
        ItemCommand::Lend { reservation_no, today } => lending::lend(item, *reservation_no, *today),
        ItemCommand::Return { reservation_no } => lending::return_item(item, *reservation_no),
    }
}

/// Anyone may register; what the owner does only the owner may, once there is an item.
pub(super) fn permits(item: &Item, actor: &Actor, command: &ItemCommand) -> bool {
    match command {
        ItemCommand::Register { .. } => true,
        ItemCommand::Change { .. }
        | ItemCommand::Delete
        | ItemCommand::BlockPeriod { .. }
        | ItemCommand::UnblockPeriod { .. }
        | ItemCommand::Lend { .. }
        | ItemCommand::Return { .. } => !item.is_known() || actor.is_owner(item.owner_id()),
        ItemCommand::Hold { .. }
        | ItemCommand::Release { .. }
        | ItemCommand::AuthorizeLending { .. }
        | ItemCommand::RevokeLending { .. }
        | ItemCommand::AbandonRegistration { .. } => actor.acts_for_anyone(),
    }
}

/// An item that is put on the market.
struct NewListing<'a> {
    item_no: ItemNo,
    owner_id: Option<PersonId>,
    item_name: &'a str,
    item_price: Money,
}

fn register(item: &Item, new: &NewListing<'_>) -> Decision<Item> {
    let NewListing { item_no, owner_id, item_name, item_price } = *new;
    match item.listing() {
        None => Ok(vec![ItemEvent::Registered {
            item_no,
            owner_id,
            item_name: item_name.to_owned(),
            item_price,
        }]),
        Some(Listing::Registered { .. } | Listing::Deleted { .. }) => no_change(),
        Some(Listing::Abandoned) => Err(ItemError::RegistrationAbandoned),
    }
}

/// Holds keep the name and price that they were made with.
fn change(item: &Item, new_name: Option<&str>, new_price: Option<Money>) -> Decision<Item> {
    match item.listing() {
        Some(Listing::Registered { item_no, item_name, item_price, .. }) => {
            let name = new_name.unwrap_or(item_name);
            let price = new_price.unwrap_or(*item_price);
            if name == item_name && price == *item_price {
                return no_change();
            }
            Ok(vec![ItemEvent::Changed {
                item_no: *item_no,
                item_name: name.to_owned(),
                item_price: price,
            }])
        }
        Some(Listing::Deleted { .. } | Listing::Abandoned) | None => Err(ItemError::NotFound),
    }
}

/// The owner's own blocks don't hinder it.
fn delete(item: &Item) -> Decision<Item> {
    match item.listing() {
        Some(Listing::Registered { item_no, .. }) => {
            if item.holds().is_empty() && item.rental().is_none() {
                Ok(vec![ItemEvent::Deleted { item_no: *item_no }])
            } else {
                Err(ItemError::InUse)
            }
        }
        Some(Listing::Deleted { .. }) => no_change(),
        Some(Listing::Abandoned) | None => Err(ItemError::NotFound),
    }
}

/// The late race of a registration is decided here: the first event on this stream wins.
fn abandon_registration(item: &Item, item_no: ItemNo) -> Decision<Item> {
    match item.listing() {
        None => Ok(vec![ItemEvent::RegistrationAbandoned { item_no }]),
        Some(Listing::Registered { .. } | Listing::Deleted { .. } | Listing::Abandoned) => {
            no_change()
        }
    }
}
