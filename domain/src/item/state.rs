//! The state of an item, folded from its events; no rules here.
//!
//! It remembers the present, not the past: a hold is removed with its release, a rental with its return.
//! Of the past it keeps only the reservation that was returned last.

use super::ItemEvent;
use crate::ids::{ItemNo, PersonId, ReservationNo};
use crate::money::Money;
use crate::rental_period::{RentalPeriod, Span};
use serde::{Deserialize, Serialize};

/// The most ranges of days that an owner may keep back at once.
pub const MAX_BLOCKS: usize = 400;

/// One thing that is rented out, with its calendar. Empty fields aren't serialized.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Item {
    #[serde(skip_serializing_if = "Option::is_none")]
    listing: Option<Listing>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    holds: Vec<Booking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rental: Option<Booking>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<RentalPeriod>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_returned: Option<ReservationNo>,
}

/// Whether the item is on the market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listing {
    /// It is.
    Registered {
        /// The item's number.
        item_no: ItemNo,
        /// Whose it is; without an owner the operator's.
        owner_id: Option<PersonId>,
        /// What it is called now.
        item_name: String,
        /// What a day costs now.
        item_price: Money,
    },
    /// It was.
    Deleted {
        /// The item's number.
        item_no: ItemNo,
        /// Whose it was.
        owner_id: Option<PersonId>,
    },
    /// It never came to be, and its number never will.
    Abandoned,
}

/// Days that a reservation has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booking {
    /// Whose days.
    pub reservation_no: ReservationNo,
    /// Which days.
    pub span: Span,
    /// Whether it is paid, so that the item may be handed over.
    pub authorized: bool,
}

impl Item {
    pub(super) fn evolve(&mut self, event: ItemEvent) {
        match event {
            ItemEvent::Registered { item_no, owner_id, item_name, item_price } => {
                self.list(item_no, owner_id, item_name, item_price);
            }
            ItemEvent::Changed { item_no, item_name, item_price } => {
                self.list(item_no, self.owner_id(), item_name, item_price);
            }
            ItemEvent::Deleted { item_no } => {
                self.listing = Some(Listing::Deleted { item_no, owner_id: self.owner_id() });
                self.blocks.clear();
            }
            ItemEvent::RegistrationAbandoned { .. } => self.listing = Some(Listing::Abandoned),
            ItemEvent::PeriodBlocked { period, .. } => self.blocks.push(period),
            ItemEvent::PeriodUnblocked { period, .. } => self.blocks.retain(|b| *b != period),
            ItemEvent::Held { reservation_no, period, from, .. } => {
                let span = Span::requested(period, from);
                self.holds.push(Booking { reservation_no, span, authorized: false });
            }
            ItemEvent::Released { reservation_no, .. } => drop(self.take_hold(reservation_no)),
            ItemEvent::LendingAuthorized { reservation_no, .. } => {
                self.authorize(reservation_no, true);
            }
            ItemEvent::LendingRevoked { reservation_no, .. } => {
                self.authorize(reservation_no, false);
            }
            ItemEvent::LendingRevocationRefused { .. } => {}
            ItemEvent::Rented { reservation_no, .. } => {
                self.rental = self.take_hold(reservation_no);
            }
            ItemEvent::Returned { reservation_no, .. } => {
                self.rental = None;
                self.last_returned = Some(reservation_no);
            }
        }
    }

    fn list(&mut self, item_no: ItemNo, owner_id: Option<PersonId>, name: String, price: Money) {
        let (item_name, item_price) = (name, price);
        self.listing = Some(Listing::Registered { item_no, owner_id, item_name, item_price });
    }

    fn take_hold(&mut self, reservation_no: ReservationNo) -> Option<Booking> {
        let at = self.holds.iter().position(|hold| hold.reservation_no == reservation_no)?;
        Some(self.holds.remove(at))
    }

    fn authorize(&mut self, reservation_no: ReservationNo, authorized: bool) {
        if let Some(hold) = self.holds.iter_mut().find(|h| h.reservation_no == reservation_no) {
            hold.authorized = authorized;
        }
    }

    /// Whether it is on the market, was, or never came to be; `None` while nothing is known of it.
    pub const fn listing(&self) -> Option<&Listing> {
        self.listing.as_ref()
    }

    /// The number of an item on the market.
    pub const fn listed(&self) -> Option<ItemNo> {
        match &self.listing {
            Some(Listing::Registered { item_no, .. }) => Some(*item_no),
            Some(Listing::Deleted { .. } | Listing::Abandoned) | None => None,
        }
    }

    /// Whose it is or was; an item without an owner is the operator's.
    pub const fn owner_id(&self) -> Option<PersonId> {
        match &self.listing {
            Some(Listing::Registered { owner_id, .. } | Listing::Deleted { owner_id, .. }) => {
                *owner_id
            }
            Some(Listing::Abandoned) | None => None,
        }
    }

    /// The current holds, oldest first.
    pub fn holds(&self) -> &[Booking] {
        &self.holds
    }

    /// The hold of this reservation.
    pub fn hold_of(&self, reservation_no: ReservationNo) -> Option<&Booking> {
        self.holds.iter().find(|hold| hold.reservation_no == reservation_no)
    }

    /// The current rental: there is never more than one.
    pub const fn rental(&self) -> Option<&Booking> {
        self.rental.as_ref()
    }

    /// Whether this reservation has the item now.
    pub fn is_rented_by(&self, reservation_no: ReservationNo) -> bool {
        self.rental.is_some_and(|rental| rental.reservation_no == reservation_no)
    }

    /// Whether this reservation was the last to bring the item back.
    pub fn was_returned_last_by(&self, reservation_no: ReservationNo) -> bool {
        self.last_returned == Some(reservation_no)
    }

    /// The days that the owner keeps back; no two overlap.
    pub fn blocks(&self) -> &[RentalPeriod] {
        &self.blocks
    }

    pub(super) const fn is_known(&self) -> bool {
        self.listing.is_some()
    }
}
