//! The parts of the market that a service owns: aggregates, views, process managers, each by its stored name.

use crate::{Alarm, Hold, Item, Payment, Reservation};
use cqrs_es::Aggregate;

/// A part of the market that exactly one service owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MarketPart {
    /// The streams of an aggregate.
    Aggregate(AggregateType),
    /// A view.
    View(ViewName),
    /// A process manager.
    Manager(ManagerName),
}

/// The type of an aggregate, as the log stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateType {
    /// [`Item`].
    Item,
    /// [`Hold`].
    Hold,
    /// [`Reservation`].
    Reservation,
    /// [`Payment`].
    Payment,
    /// [`Alarm`].
    Alarm,
}

/// The name of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ViewName {
    /// Items with their calendars.
    ItemInfo,
    /// Reservations.
    Reservations,
    /// Payment attempts.
    Payments,
    /// Alarms.
    Alarms,
}

/// The name of a process manager, and of its subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ManagerName {
    /// Lets the item answer what a reservation asks of it.
    Holding,
    /// Records the answers of items and payments in the reservation.
    ReservationProcess,
    /// Settles and refunds payments.
    PaymentProcess,
    /// Announces deleted items.
    AlarmSaga,
    /// Abandons registrations that were announced but not recorded.
    Abandonment,
}

impl AggregateType {
    /// All types.
    pub const ALL: [Self; 5] =
        [Self::Item, Self::Reservation, Self::Payment, Self::Alarm, Self::Hold];

    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Item => Item::TYPE,
            Self::Hold => Hold::TYPE,
            Self::Reservation => Reservation::TYPE,
            Self::Payment => Payment::TYPE,
            Self::Alarm => Alarm::TYPE,
        }
    }

    /// The type with this stored name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|aggregate| aggregate.name() == name)
    }
}

impl ViewName {
    /// All views.
    pub const ALL: [Self; 4] = [Self::ItemInfo, Self::Reservations, Self::Payments, Self::Alarms];

    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ItemInfo => "item_info",
            Self::Reservations => "reservations",
            Self::Payments => "payments",
            Self::Alarms => "alarms",
        }
    }
}

impl ManagerName {
    /// All process managers.
    pub const ALL: [Self; 5] = [
        Self::Holding,
        Self::ReservationProcess,
        Self::PaymentProcess,
        Self::AlarmSaga,
        Self::Abandonment,
    ];

    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Holding => "holding",
            Self::ReservationProcess => "reservation_process",
            Self::PaymentProcess => "payment_process",
            Self::AlarmSaga => "alarm_saga",
            Self::Abandonment => "abandonment",
        }
    }
}
