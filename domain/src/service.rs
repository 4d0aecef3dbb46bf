//! The four services of the market. The table in [`Service::of`] names the owner of every part; which loops a process
//! runs, which routes it has and which other services it needs follows from it.

mod isolation;
mod part;
mod services;

pub use isolation::{Isolation, PersonCommand};
pub use part::{AggregateType, ManagerName, MarketPart, ViewName};
pub use services::{Services, ServicesError};

use part::{AggregateType as A, ManagerName as M, MarketPart as P, ViewName as V};
use std::fmt;

/// A service of the market: what may run in a process of its own, on a database of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Items, their calendars, and who may have them when.
    Item,
    /// Reservations.
    Reservation,
    /// Payment attempts.
    Payment,
    /// The announcements of items.
    Alarm,
}

impl Service {
    /// All services.
    pub const ALL: [Self; 4] = [Self::Item, Self::Reservation, Self::Payment, Self::Alarm];

    /// The service that owns a part of the market. A view belongs to the service whose streams it folds, a process
    /// manager to the service whose aggregates it commands.
    pub const fn of(part: MarketPart) -> Self {
        match part {
            P::Aggregate(A::Item | A::Hold)
            | P::View(V::ItemInfo)
            | P::Manager(M::Holding | M::Abandonment) => Self::Item,
            P::Aggregate(A::Reservation)
            | P::View(V::Reservations)
            | P::Manager(M::ReservationProcess) => Self::Reservation,
            P::Aggregate(A::Payment) | P::View(V::Payments) | P::Manager(M::PaymentProcess) => {
                Self::Payment
            }
            P::Aggregate(A::Alarm) | P::View(V::Alarms) | P::Manager(M::AlarmSaga) => Self::Alarm,
        }
    }

    /// The name in settings, addresses and tokens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::Reservation => "reservation",
            Self::Payment => "payment",
            Self::Alarm => "alarm",
        }
    }

    /// The service with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    /// The other services whose events its process managers and views read.
    pub const fn reads_events_of(self) -> Services {
        match self {
            Self::Item => Services::of(&[Self::Reservation, Self::Alarm]),
            Self::Reservation => Services::of(&[Self::Item, Self::Payment]),
            Self::Payment => Services::of(&[Self::Reservation]),
            Self::Alarm => Services::of(&[Self::Item]),
        }
    }

    /// The other services that it calls while a caller waits.
    pub const fn calls(self) -> Services {
        match self {
            Self::Item => Services::of(&[Self::Alarm]),
            Self::Reservation => Services::of(&[Self::Payment]),
            Self::Payment | Self::Alarm => Services::NONE,
        }
    }

    /// The views of other services that it keeps its own copies of, so that no read asks another service.
    pub const fn copied_views(self) -> &'static [ViewName] {
        match self {
            // `itemInfo` shows the alarm.
            Self::Item => &[V::Alarms],
            // A reservation that isn't decided, and an alarm, are shown to the item's owner.
            Self::Reservation | Self::Alarm => &[V::ItemInfo],
            Self::Payment => &[],
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
