//! The bodies of an item, with the seed's fields and names.

use super::super::status::{AlarmStatus, ItemStatus, RentalStatus};
use super::ItemRow;
use gdmarket_domain::item::Listing;
use gdmarket_domain::{ItemNo, Money, PersonId, ReservationNo};
use serde::Serialize;

/// A member of `/items`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemBody {
    /// The item's number.
    pub item_no: ItemNo,
    /// The item's name.
    pub item_name: String,
    /// The price of a day.
    pub item_price: Money,
    /// Whether there is no hold or rental.
    pub item_status: ItemStatus,
    /// Whether the renter has the item.
    pub rental_status: RentalStatus,
    /// The reservation that is shown.
    pub reservation_no: Option<ReservationNo>,
    /// The owner; `None` for an item of the operator.
    pub owner_id: Option<PersonId>,
}

/// A member of `/itemInfoes`: the owner's integrated view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemInfoBody {
    /// The item itself.
    #[serde(flatten)]
    pub item: ItemBody,
    /// The renter of the shown reservation.
    pub customer_id: Option<PersonId>,
    /// The renter's name, until it is erased.
    pub customer_name: Option<String>,
    /// The last announcement of the item's alarm.
    pub alarm_status: Option<AlarmStatus>,
}

/// The listing of an item that is or was on the market.
pub(super) struct Registered<'a> {
    pub(super) item_no: ItemNo,
    pub(super) owner_id: Option<PersonId>,
    pub(super) item_name: &'a str,
    pub(super) item_price: Money,
}

impl ItemRow {
    /// The listing; `None` for an item that never came to the market.
    pub(super) fn registered(&self) -> Option<Registered<'_>> {
        let Listing::Registered { item_no, owner_id, item_name, item_price } = self.listing()?
        else {
            return None;
        };
        let (item_no, owner_id, item_price) = (*item_no, *owner_id, *item_price);
        Some(Registered { item_no, owner_id, item_name, item_price })
    }

    /// The member of `/items`; `None` for an item that never came to the market.
    pub(crate) fn body(&self) -> Option<ItemBody> {
        let Registered { item_no, owner_id, item_name, item_price } = self.registered()?;
        Some(ItemBody {
            item_no,
            item_name: item_name.to_owned(),
            item_price,
            item_status: self.item_status(),
            rental_status: self.rental_status(),
            reservation_no: self.shown().map(|booking| booking.reservation_no),
            owner_id,
        })
    }

    /// The member of `/itemInfoes`, before names and alarms are joined.
    pub(crate) fn info_body(&self) -> Option<ItemInfoBody> {
        Some(ItemInfoBody {
            item: self.body()?,
            customer_id: self.customer_id(),
            customer_name: None,
            alarm_status: None,
        })
    }
}
