//! A set of services, and the text that names one.

use super::Service;
use super::part::{ManagerName, MarketPart, ViewName};
use std::fmt;
use std::str::FromStr;

/// A set of services. Its text names them in the order of [`Service::ALL`]: `item,payment`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Services(u8);

/// Why a text names no set of services.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServicesError {
    /// It names something else.
    #[error("{name:?} is no service; there are {all}", all = Services::ALL)]
    Unknown {
        /// The unknown name.
        name: String,
    },
    /// It names nothing.
    #[error("names no service; there are {all}", all = Services::ALL)]
    Empty,
}

impl Services {
    /// No service.
    pub const NONE: Self = Self(0);
    /// All services.
    pub const ALL: Self = Self::of(&Service::ALL);

    /// These services.
    pub const fn of(services: &[Service]) -> Self {
        let mut set = Self::NONE;
        let mut rest = services;
        while let [first, others @ ..] = rest {
            set = Self(set.0 | bit(*first));
            rest = others;
        }
        set
    }

    /// Whether a service is one of them.
    pub const fn contains(self, service: Service) -> bool {
        self.0 & bit(service) != 0
    }

    /// Whether it is all services.
    pub const fn is_all(self) -> bool {
        self.0 == Self::ALL.0
    }

    /// Whether it is no service.
    pub const fn is_empty(self) -> bool {
        self.0 == Self::NONE.0
    }

    /// The services of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that aren't in the other set.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Each of them, in the order of [`Service::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Service> {
        Service::ALL.into_iter().filter(move |service| self.contains(*service))
    }

    /// The views that a process of these services keeps: their own, and their copies of others.
    pub fn views(self) -> impl Iterator<Item = ViewName> {
        let is_copied =
            move |view: &ViewName| self.iter().any(|service| service.copied_views().contains(view));
        let is_own = move |view: &ViewName| self.contains(Service::of(MarketPart::View(*view)));
        ViewName::ALL.into_iter().filter(move |view| is_own(view) || is_copied(view))
    }

    /// The process managers of these services.
    pub fn managers(self) -> impl Iterator<Item = ManagerName> {
        let is_own =
            move |name: &ManagerName| self.contains(Service::of(MarketPart::Manager(*name)));
        ManagerName::ALL.into_iter().filter(is_own)
    }

    /// The services outside this set whose events or answers its members need.
    #[must_use]
    pub fn needs(self) -> Self {
        let each = self.iter().map(|service| service.reads_events_of().union(service.calls()));
        each.fold(Self::NONE, Self::union).without(self)
    }
}

const fn bit(service: Service) -> u8 {
    match service {
        Service::Item => 1,
        Service::Reservation => 2,
        Service::Payment => 4,
        Service::Alarm => 8,
    }
}

impl fmt::Display for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Service::name).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Services {
    type Err = ServicesError;

    fn from_str(text: &str) -> Result<Self, ServicesError> {
        let names = text.split(',').map(|name| name.trim().to_ascii_lowercase());
        let mut set = Self::NONE;
        for name in names.filter(|name| !name.is_empty()) {
            let Some(service) = Service::named(&name) else {
                return Err(ServicesError::Unknown { name });
            };
            set = set.union(Self::of(&[service]));
        }
        if set.is_empty() { Err(ServicesError::Empty) } else { Ok(set) }
    }
}
