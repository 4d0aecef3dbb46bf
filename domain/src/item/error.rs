//! Why an item's command changes nothing. Messages are for a person and name the next step.

use crate::decider::Refusal;
use chrono::NaiveDate;

/// A refusal of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// No item of this number is on the market, as its owner sees it.
    #[error("there is no such item; check the number")]
    NotFound,
    /// No item of this number was ever registered, as a renter sees it.
    #[error("there is no such item; choose one from the list of items")]
    Unknown,
    /// It was deleted.
    #[error("the item is no longer on the market; choose another")]
    Gone,
    /// A hold or rental has some of the days.
    #[error("the item is taken on some of these days; choose others from its calendar")]
    Taken,
    /// The owner keeps some of the days back.
    #[error("the owner keeps some of these days back; choose others from the item's calendar")]
    Blocked,
    /// Its own owner wants to rent it.
    #[error("it is the owner's own item; keep days back by blocking them")]
    OwnItem,
    /// The reservation holds nothing here that lending could be allowed for.
    #[error("the reservation holds no days of this item; reserve it again")]
    NoHold,
    /// No reservation, or another one, holds the item.
    #[error("the item isn't reserved, or not by this reservation; it can be lent once it is")]
    NotReserved,
    /// The reservation isn't paid.
    #[error("the reservation isn't paid yet; lend the item once it is")]
    NotPaid,
    /// The first day hasn't come.
    #[error("the reservation begins on {from}; lend the item from that day on")]
    TooEarly {
        /// The first day of the hold.
        from: NaiveDate,
    },
    /// The last day is over.
    #[error("the reservation ended before {to}; cancel it, and make a new one")]
    PeriodOver {
        /// The first day after the hold.
        to: NaiveDate,
    },
    /// Another renter has it.
    #[error("another renter still has the item; take it back first")]
    StillRented,
    /// No reservation, or another one, has the item.
    #[error(
        "the item isn't lent, or not to this reservation; only what was handed over can be brought back"
    )]
    NotRenting,
    /// Several reservations hold it and none was named.
    #[error("several reservations hold the item; say which with reservationNo")]
    WhichReservation,
    /// There is a hold or a rental.
    #[error("the item is reserved or lent; delete it once no reservation holds it")]
    InUse,
    /// The number was abandoned before the registration was complete.
    #[error("this registration was abandoned; register the item again under a new number")]
    RegistrationAbandoned,
    /// More ranges kept back than an item stores.
    #[error("the item has too many blocked periods; unblock past ones first")]
    TooManyBlocks,
    /// The item can't be where this command finds it.
    #[error("this doesn't fit the item's history; it needs manual action by an operator")]
    OutOfOrder,
}

impl Refusal for ItemError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "item-not-found",
            Self::Unknown => "item-unknown",
            Self::Gone => "item-gone",
            Self::Taken => "item-taken",
            Self::Blocked => "item-blocked",
            Self::OwnItem => "own-item",
            Self::NoHold => "no-hold",
            Self::NotReserved => "not-reserved",
            Self::NotPaid => "not-paid",
            Self::TooEarly { .. } => "too-early",
            Self::PeriodOver { .. } => "period-over",
            Self::StillRented => "still-rented",
            Self::NotRenting => "not-renting",
            Self::WhichReservation => "which-reservation",
            Self::InUse => "item-in-use",
            Self::RegistrationAbandoned => "registration-abandoned",
            Self::TooManyBlocks => "too-many-blocks",
            Self::OutOfOrder => "impossible",
        }
    }

    /// An authorisation that may be on its way, a first day that hasn't come, a rental that ends.
    fn is_transient(&self) -> bool {
        matches!(self, Self::NotPaid | Self::TooEarly { .. } | Self::StillRented)
    }
}
