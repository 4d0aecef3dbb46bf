//! What is shown of an item: the seed's fields, named as the seed names them.

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
    /// What it is called.
    pub item_name: String,
    /// What a day costs.
    pub item_price: Money,
    /// Whether a hold or rental stands.
    pub item_status: ItemStatus,
    /// Where the thing is.
    pub rental_status: RentalStatus,
    /// The reservation that is shown.
    pub reservation_no: Option<ReservationNo>,
    /// Whose it is; without an owner the operator's.
    pub owner_id: Option<PersonId>,
}

/// A member of `/itemInfoes`: the owner's integrated view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemInfoBody {
    /// The item itself.
    #[serde(flatten)]
    pub item: ItemBody,
    /// Who holds or has it.
    pub customer_id: Option<PersonId>,
    /// Their name, as long as it is known.
    pub customer_name: Option<String>,
    /// What the item's alarm announced last.
    pub alarm_status: Option<AlarmStatus>,
}

/// What an item is or was on the market as.
pub(super) struct Registered<'a> {
    pub(super) item_no: ItemNo,
    pub(super) owner_id: Option<PersonId>,
    pub(super) item_name: &'a str,
    pub(super) item_price: Money,
}

impl ItemRow {
    /// `None` of what never came to the market.
    pub(super) fn registered(&self) -> Option<Registered<'_>> {
        let Listing::Registered { item_no, owner_id, item_name, item_price } = self.listing()?
        else {
            return None;
        };
        let (item_no, owner_id, item_price) = (*item_no, *owner_id, *item_price);
        Some(Registered { item_no, owner_id, item_name, item_price })
    }

    /// What `/items` shows; `None` of what never came to the market.
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

    /// What `/itemInfoes` shows, before names and alarms are joined.
    pub(crate) fn info_body(&self) -> Option<ItemInfoBody> {
        Some(ItemInfoBody {
            item: self.body()?,
            customer_id: self.customer_id(),
            customer_name: None,
            alarm_status: None,
        })
    }
}
