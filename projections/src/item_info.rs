//! The view of items: one row per item stream, behind `/items`, `/itemInfoes` and the calendar.
//!
//! What is shown of several reservations: the rental, else the hold with the earliest first day.
//! Nothing here depends on the clock; which days are free is the calendar's matter.

mod body;
mod calendar;

pub use body::{ItemBody, ItemInfoBody};
pub use calendar::Calendar;

use crate::status::{ItemStatus, RentalStatus};
use crate::view::{Filters, FoldError, View};
use cqrs_es::Aggregate;
use gdmarket_domain::item::Booking;
use gdmarket_domain::{Item, ItemEvent, ItemNo, MarketEvent, Money, PersonId, ReservationNo};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The view behind everything that is asked about items.
#[derive(Debug, Clone, Copy)]
pub struct ItemInfo;

/// What is kept per item.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRow {
    /// The item itself: what may be done with it is asked of this.
    state: Item,
    /// What it was registered as, kept beyond its deletion.
    listed: Option<Listed>,
    /// Who holds or has it, by reservation.
    renters: BTreeMap<ReservationNo, PersonId>,
    /// Whether the last thing that ended was a rental, not a hold.
    returned: bool,
    deleted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Listed {
    item_no: ItemNo,
    owner_id: Option<PersonId>,
    item_name: String,
    item_price: Money,
}

impl View for ItemInfo {
    const NAME: &'static str = "item_info";
    const VERSION: u32 = 1;
    const AGGREGATE: &'static str = Item::TYPE;
    const INDEXED: &'static [&'static str] = &["owner_id", "customer_id", "item_no", "status"];
    const SHOWS_ALARMS: bool = true;
    type Row = ItemRow;

    fn fold(row: &mut ItemRow, event: MarketEvent) -> Result<(), FoldError> {
        let MarketEvent::Item(event) = event else {
            return Err(FoldError::Foreign);
        };
        row.note(&event);
        row.state.apply(event);
        Ok(())
    }

    fn filters(row: &ItemRow) -> Filters {
        let shown = row.shown();
        Filters {
            owner_id: row.listed.as_ref().and_then(|l| l.owner_id).map(PersonId::get),
            customer_id: row.customer_id().map(PersonId::get),
            item_no: row.listed.as_ref().map(|l| l.item_no.get()),
            reservation_no: shown.map(|booking| booking.reservation_no.get()),
            status: Some(row.item_status().as_str()),
        }
    }

    fn is_gone(row: &ItemRow) -> bool {
        row.deleted || row.listed.is_none()
    }

    fn told(row: &Self::Row) -> Option<serde_json::Value> {
        row.info_body().map(|body| serde_json::json!(body))
    }
}

impl ItemRow {
    fn note(&mut self, event: &ItemEvent) {
        match event {
            ItemEvent::Registered { item_no, owner_id, item_name, item_price } => {
                self.listed = Some(Listed {
                    item_no: *item_no,
                    owner_id: *owner_id,
                    item_name: item_name.clone(),
                    item_price: *item_price,
                });
            }
            ItemEvent::Changed { item_name, item_price, .. } => {
                if let Some(listed) = &mut self.listed {
                    listed.item_name.clone_from(item_name);
                    listed.item_price = *item_price;
                }
            }
            ItemEvent::Deleted { .. } => self.deleted = true,
            ItemEvent::Held { reservation_no, renter_id, .. } => {
                self.renters.insert(*reservation_no, *renter_id);
                self.returned = false;
            }
            ItemEvent::Released { reservation_no, .. } => {
                self.renters.remove(reservation_no);
                self.returned = false;
            }
            ItemEvent::Returned { reservation_no, .. } => {
                self.renters.remove(reservation_no);
                self.returned = true;
            }
            ItemEvent::PeriodBlocked { .. }
            | ItemEvent::PeriodUnblocked { .. }
            | ItemEvent::LendingAuthorized { .. }
            | ItemEvent::LendingRevoked { .. }
            | ItemEvent::LendingRevocationRefused { .. }
            | ItemEvent::Rented { .. }
            | ItemEvent::RegistrationAbandoned { .. } => {}
        }
    }

    /// The item as its own decisions see it.
    pub const fn state(&self) -> &Item {
        &self.state
    }

    /// The reservation that is shown: the rental, else the earliest hold.
    fn shown(&self) -> Option<&Booking> {
        let earliest = |b: &&Booking| (b.span.from, b.reservation_no);
        self.state.rental().or_else(|| self.state.holds().iter().min_by_key(earliest))
    }

    fn customer_id(&self) -> Option<PersonId> {
        self.shown().and_then(|booking| self.renters.get(&booking.reservation_no)).copied()
    }

    fn item_status(&self) -> ItemStatus {
        if self.shown().is_some() { ItemStatus::NotRentable } else { ItemStatus::Rentable }
    }

    fn rental_status(&self) -> RentalStatus {
        if self.state.rental().is_some() {
            RentalStatus::Renting
        } else if self.returned && self.shown().is_none() {
            RentalStatus::Returned
        } else {
            RentalStatus::NotRenting
        }
    }
}
