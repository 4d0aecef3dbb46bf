//! The bodies of an item, with the seed's fields and names.

use super::super::status::{AlarmStatus, ItemStatus, RentalStatus};
use super::ItemRow;
use gdmarket_domain::item::Listing;
use gdmarket_domain::{ItemNo, Money, PersonId, ReservationNo};
use serde::Serialize;
use utoipa::ToSchema;

/// An item of the market.
// The texts of these types are part of the OpenAPI document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Item)]
#[expect(missing_docs, reason = "the names say it, in the OpenAPI document too")]
pub struct ItemBody {
    #[schema(value_type = i64)]
    pub item_no: ItemNo,
    pub item_name: String,
    /// Whole won per day.
    #[schema(value_type = i64)]
    pub item_price: Money,
    pub item_status: ItemStatus,
    pub rental_status: RentalStatus,
    /// The current rental, else the earliest hold.
    #[schema(required, value_type = Option<i64>)]
    pub reservation_no: Option<ReservationNo>,
    /// Whose it is; an item without an owner is the operator's.
    #[schema(required, value_type = Option<i64>)]
    pub owner_id: Option<PersonId>,
}

/// A member of `/itemInfoes`: the owner's integrated view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ItemInfoBody {
    /// The item itself.
    #[serde(flatten)]
    pub item: ItemBody,
    /// What is known of its renter and its alarm.
    #[serde(flatten)]
    pub joined: JoinedFields,
}

// The fields that an integrated view adds to an item's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "its text would be repeated in the OpenAPI document")]
pub struct JoinedFields {
    /// Who holds or has it.
    #[schema(required, value_type = Option<i64>)]
    pub customer_id: Option<PersonId>,
    /// Their name for this reservation, as long as it is known; shown to them, to the item's owner and
    /// to operators.
    #[schema(required)]
    pub customer_name: Option<String>,
    /// What the item's alarm announced last.
    #[schema(required)]
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
            joined: JoinedFields { customer_id: self.customer_id(), ..JoinedFields::default() },
        })
    }
}
