//! What happened to an item. Wire names are literals, kept for ever.
#![expect(missing_docs, reason = "each variant is explained; its fields say themselves")]

use crate::event_names::events;
use crate::ids::{ItemNo, PersonId, ReservationNo};
use crate::money::Money;
use crate::rental_period::RentalPeriod;
use chrono::NaiveDate;

events! {
    /// A fact about one item.
    #[stream(item_no: ItemNo)]
    pub enum ItemEvent {
        /// The item is on the market; its alarm was raised before.
        #[serde(rename = "ItemRegistered")]
        Registered {
            item_no: ItemNo,
            owner_id: Option<PersonId>,
            item_name: String,
            item_price: Money,
        },
        /// Name or price changed, for reservations from now on.
        #[serde(rename = "ItemChanged")]
        Changed { item_no: ItemNo, item_name: String, item_price: Money },
        /// Off the market for good.
        #[serde(rename = "ItemDeleted")]
        Deleted { item_no: ItemNo },
        /// The owner keeps these days back.
        #[serde(rename = "PeriodBlocked")]
        PeriodBlocked { item_no: ItemNo, period: RentalPeriod },
        /// The owner makes these days available again.
        #[serde(rename = "PeriodUnblocked")]
        PeriodUnblocked { item_no: ItemNo, period: RentalPeriod },
        /// A reservation holds these days, at this name and price; without a period until it is returned.
        #[serde(rename = "ItemHeld")]
        Held {
            item_no: ItemNo,
            reservation_no: ReservationNo,
            renter_id: PersonId,
            owner_id: Option<PersonId>,
            period: Option<RentalPeriod>,
            from: NaiveDate,
            item_name: String,
            item_price: Money,
        },
        /// The reservation's hold is gone.
        #[serde(rename = "ItemReleased")]
        Released { item_no: ItemNo, reservation_no: ReservationNo },
        /// Paid: the owner may hand the item over.
        #[serde(rename = "LendingAuthorized")]
        LendingAuthorized { item_no: ItemNo, reservation_no: ReservationNo },
        /// No longer to be handed over; the hold stays.
        #[serde(rename = "LendingRevoked")]
        LendingRevoked { item_no: ItemNo, reservation_no: ReservationNo },
        /// Too late to revoke: lent already, or there is no hold.
        #[serde(rename = "LendingRevocationRefused")]
        LendingRevocationRefused { item_no: ItemNo, reservation_no: ReservationNo },
        /// Handed over to the renter (the seed's `RentedItem`).
        #[serde(rename = "ItemRented")]
        Rented { item_no: ItemNo, reservation_no: ReservationNo },
        /// Brought back (the seed's `ReturnedItem`).
        #[serde(rename = "ItemReturned")]
        Returned { item_no: ItemNo, reservation_no: ReservationNo },
        /// The registration was abandoned before it was complete; its number is never used again.
        #[serde(rename = "RegistrationAbandoned")]
        RegistrationAbandoned { item_no: ItemNo },
    }
}
