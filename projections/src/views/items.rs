//! The view of items: one row per item stream, behind `/items`, `/itemInfoes` and the calendar.
//!
//! Of several reservations, the row shows the rental, or else the hold with the earliest first day. A row
//! doesn't depend on the clock; the calendar shows which days are free.

mod calendar;
mod item_body;

pub use calendar::{Busy, Calendar};
pub use item_body::{ItemBody, ItemInfoBody, JoinedFields};

use super::alarms::Alarms;
use super::status::{ItemStatus, RentalStatus};
use crate::engine::view::{Column, FoldError, Join, View};
use cqrs_es::Aggregate;
use gdmarket_domain::item::{Booking, Listing};
use gdmarket_domain::{Item, ItemEvent, MarketEvent, PersonId, ReservationNo, ViewName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The view behind all queries of items.
#[derive(Debug, Clone, Copy)]
pub struct ItemInfo;

/// The row of an item. Empty fields aren't stored, since most fields of most rows are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemRow {
    /// The aggregate's state, which knows the permitted actions.
    state: Item,
    /// The last listing of a deleted item.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Listing>,
    /// The renters of holds and the rental, by reservation.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    renters: BTreeMap<ReservationNo, PersonId>,
    /// Whether the last booking that ended was a rental, not a hold.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    returned: bool,
}

impl View for ItemInfo {
    const NAME: &'static str = ViewName::ItemInfo.name();
    const VERSION: u32 = 4;
    const AGGREGATE: &'static str = Item::TYPE;
    const COLUMNS: &'static [Column<ItemRow>] = &[
        Column::number("item_no", |row| Some(row.registered()?.item_no.get())),
        Column::text("item_name", |row| Some(row.registered()?.item_name)),
        Column::number("item_price", |row| Some(row.registered()?.item_price.won())),
        Column::indexed(Column::text("item_status", |row| Some(row.item_status().as_str()))),
        Column::text("rental_status", |row| Some(row.rental_status().as_str())),
        Column::number("reservation_no", |row| Some(row.shown()?.reservation_no.get())),
        Column::indexed(Column::number("owner_id", |row| row.state.owner_id().map(PersonId::get))),
        Column::indexed(Column::number("customer_id", |row| row.customer_id().map(PersonId::get))),
    ];
    const JOIN: Option<Join> = Some(Join { view: Alarms::NAME, fields: &["alarmStatus"] });
    type Row = ItemRow;

    fn fold(row: &mut ItemRow, event: MarketEvent) -> Result<(), FoldError> {
        let MarketEvent::Item(event) = event else {
            return Err(FoldError::Foreign);
        };
        row.note(&event);
        row.state.apply(event);
        Ok(())
    }

    fn is_gone(row: &ItemRow) -> bool {
        row.state.listed().is_none()
    }

    fn body(row: &Self::Row) -> Option<serde_json::Value> {
        row.info_body().map(|body| serde_json::json!(body))
    }
}

impl ItemRow {
    fn note(&mut self, event: &ItemEvent) {
        match event {
            ItemEvent::Deleted { .. } => self.ended = self.state.listing().cloned(),
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
            ItemEvent::Registered { .. }
            | ItemEvent::Changed { .. }
            | ItemEvent::PeriodBlocked { .. }
            | ItemEvent::PeriodUnblocked { .. }
            | ItemEvent::LendingAuthorized { .. }
            | ItemEvent::LendingRevoked { .. }
            | ItemEvent::LendingRevocationRefused { .. }
            | ItemEvent::Rented { .. }
            | ItemEvent::RegistrationAbandoned { .. } => {}
        }
    }

    /// The aggregate's state.
    pub const fn state(&self) -> &Item {
        &self.state
    }

    /// The current listing, or the last one of a deleted item.
    const fn listing(&self) -> Option<&Listing> {
        if self.ended.is_some() { self.ended.as_ref() } else { self.state.listing() }
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
