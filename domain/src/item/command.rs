//! The commands of an item.
#![expect(missing_docs, reason = "each variant is explained; its fields say themselves")]

use crate::ids::{ItemNo, PersonId, ReservationNo};
use crate::money::Money;
use crate::rental_period::RentalPeriod;
use chrono::NaiveDate;

/// A request to one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemCommand {
    /// Put it on the market, after its alarm was raised.
    Register { item_no: ItemNo, owner_id: Option<PersonId>, item_name: String, item_price: Money },
    /// Change name or price; what is absent stays.
    Change { item_name: Option<String>, item_price: Option<Money> },
    /// Take it off the market.
    Delete,
    /// Keep days back.
    BlockPeriod { period: RentalPeriod },
    /// Make days available again.
    UnblockPeriod { period: RentalPeriod },
    /// Keep the days for a reservation; without a period from the day of the request until returned.
    Hold {
        reservation_no: ReservationNo,
        renter_id: PersonId,
        period: Option<RentalPeriod>,
        asked_on: NaiveDate,
    },
    /// Remove a reservation's hold.
    Release { reservation_no: ReservationNo },
    /// The reservation is paid: lending is allowed.
    AuthorizeLending { reservation_no: ReservationNo },
    /// A cancellation was requested: stop lending if that is still possible.
    RevokeLending { reservation_no: ReservationNo },
    /// Hand over. Without a number the only hold is meant.
    Lend { reservation_no: Option<ReservationNo>, today: NaiveDate },
    /// Take back. Without a number the only rental is meant.
    Return { reservation_no: Option<ReservationNo> },
    /// The registration was never completed: abandon its number.
    AbandonRegistration { item_no: ItemNo },
}
