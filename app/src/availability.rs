//! Which command works now, and why not: the isolation table applied to what this process knows of the other services
//! and of its circuit breakers.

#[cfg(test)]
mod tests;

use crate::use_cases::UseCases;
use chrono::{DateTime, Utc};
use gdmarket_commands::{BreakerState, BreakerStatus, Dependency};
use gdmarket_domain::Service;
use gdmarket_domain::service::{Isolation, PersonCommand};
use std::collections::BTreeMap;

/// What a process knows of the services that aren't in it.
pub trait ServiceConditions: Send + Sync {
    /// The condition of a service.
    fn condition(&self, service: Service) -> ServiceCondition;
}

/// The condition of a service, as a process sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceCondition {
    /// It is in this process.
    Here,
    /// It answered last time.
    Reachable,
    /// It doesn't answer.
    Unreachable {
        /// When it answered last; before that, when it was asked first.
        since: DateTime<Utc>,
    },
    /// It answers, and this process refuses its events, because they are of another log or its keys differ.
    Refused {
        /// When its events were read last; before that, when it was asked first.
        since: DateTime<Utc>,
    },
    /// This process doesn't follow it, or hasn't asked it yet.
    Unknown,
}

/// A circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerCondition {
    /// What it admits.
    pub state: BreakerState,
    /// When it admits the next call, while it admits none.
    pub until: Option<DateTime<Utc>>,
}

/// Whether a command works now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It is done as always.
    Works,
    /// It is accepted, and settled once the missing service is back.
    Accepted,
    /// It is refused.
    Refused,
    /// Another process takes it.
    NotServedHere,
}

/// Why a command isn't done as always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hindrance {
    /// The service that is missing.
    pub service: Service,
    /// Why it is missing.
    pub cause: HindranceCause,
}

/// Why a service is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HindranceCause {
    /// It isn't in this process, which alone could take the command.
    NotServedHere,
    /// It doesn't answer.
    Unreachable {
        /// Since when.
        since: DateTime<Utc>,
    },
    /// Its events are refused.
    EventsRefused {
        /// Since when.
        since: DateTime<Utc>,
    },
    /// The circuit breaker of its calls is open.
    BreakerOpen {
        /// When the next call is admitted.
        until: DateTime<Utc>,
    },
}

/// Whether a command works now, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutlook {
    /// Whether it works.
    pub availability: Availability,
    /// Why not; empty if it works.
    pub hindrances: Vec<Hindrance>,
}

/// All that a process knows of what its commands depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarketCondition {
    /// Each service.
    pub services: BTreeMap<Service, ServiceCondition>,
    /// The breaker of each service that is called, or of the party outside that this service calls.
    pub breakers: BTreeMap<Service, BreakerCondition>,
}

impl MarketCondition {
    /// Whether a command works now. It is a forecast: the command itself finds out.
    pub fn outlook(&self, command: PersonCommand) -> CommandOutlook {
        let own = command.service();
        if self.condition(own) != ServiceCondition::Here {
            let hindrance = Hindrance { service: own, cause: HindranceCause::NotServedHere };
            let availability = Availability::NotServedHere;
            return CommandOutlook { availability, hindrances: vec![hindrance] };
        }
        let mut outlook = CommandOutlook { availability: Availability::Works, hindrances: vec![] };
        for service in Service::ALL {
            for cause in [self.missing(service), self.breaker_open(service)].into_iter().flatten() {
                outlook.add(Hindrance { service, cause }, command.without(service));
            }
        }
        outlook
    }

    fn condition(&self, service: Service) -> ServiceCondition {
        self.services.get(&service).copied().unwrap_or(ServiceCondition::Unknown)
    }

    fn missing(&self, service: Service) -> Option<HindranceCause> {
        match self.condition(service) {
            ServiceCondition::Here | ServiceCondition::Reachable | ServiceCondition::Unknown => {
                None
            }
            ServiceCondition::Unreachable { since } => Some(HindranceCause::Unreachable { since }),
            ServiceCondition::Refused { since } => Some(HindranceCause::EventsRefused { since }),
        }
    }

    fn breaker_open(&self, service: Service) -> Option<HindranceCause> {
        let until = self.breakers.get(&service)?.until?;
        Some(HindranceCause::BreakerOpen { until })
    }
}

impl CommandOutlook {
    /// Adds a hindrance of a service without which the command meets `isolation`.
    fn add(&mut self, hindrance: Hindrance, isolation: Isolation) {
        let effect = match (isolation, hindrance.cause) {
            // What follows a command comes by events, and a breaker is of calls.
            (Isolation::Unaffected, _)
            | (Isolation::Accepted, HindranceCause::BreakerOpen { .. })
            | (_, HindranceCause::NotServedHere) => return,
            // A service whose events are refused may still answer calls.
            (Isolation::Accepted, _) | (_, HindranceCause::EventsRefused { .. }) => {
                Availability::Accepted
            }
            (
                Isolation::Refused,
                HindranceCause::Unreachable { .. } | HindranceCause::BreakerOpen { .. },
            ) => Availability::Refused,
        };
        if self.availability != Availability::Refused {
            self.availability = effect;
        }
        self.hindrances.push(hindrance);
    }
}

impl UseCases {
    /// What this process knows of the services and its breakers now.
    pub fn market_condition(&self, conditions: &dyn ServiceConditions) -> MarketCondition {
        let own = self.options.services;
        let condition = |service| {
            if own.contains(service) {
                ServiceCondition::Here
            } else {
                conditions.condition(service)
            }
        };
        let services = Service::ALL.map(|service| (service, condition(service)));
        MarketCondition { services: services.into(), breakers: self.breakers() }
    }

    fn breakers(&self) -> BTreeMap<Service, BreakerCondition> {
        let now = self.now();
        let of_service = |BreakerStatus { dependency, state, retry_after }| {
            let service = match dependency {
                Dependency::Payment => Service::Payment,
                Dependency::Alarm => Service::Alarm,
                Dependency::Store => return None,
            };
            let left = retry_after.filter(|left| state == BreakerState::Open && !left.is_zero());
            // An open one whose time is over admits a probe.
            let is_over = state == BreakerState::Open && left.is_none();
            let state = if is_over { BreakerState::HalfOpen } else { state };
            Some((service, BreakerCondition { state, until: left.map(|left| now + left) }))
        };
        self.commands.breaker_states().into_iter().filter_map(of_service).collect()
    }
}
