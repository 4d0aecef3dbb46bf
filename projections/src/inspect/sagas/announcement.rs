//! The announcement of an item as a saga: its registration and its deletion each raise an alarm.

use super::next_step::{NextStep, SagaParts};
use super::saga_key::SagaKey;
use super::step::SagaStep;
use cqrs_es::Aggregate as _;
use gdmarket_domain::item::Listing;
use gdmarket_domain::{Alarm, Item, ItemEvent, ItemNo, MarketEvent, Service, Services};
use std::collections::BTreeMap;

/// An item with its alarm, from the last time on that nothing was open.
#[derive(Debug, Clone, Default)]
pub(super) struct Announcement {
    item: Item,
    alarm: Alarm,
}

impl Announcement {
    pub(super) fn apply(&mut self, event: MarketEvent) {
        use ItemEvent as E;
        match event {
            MarketEvent::Item(
                event
                @ (E::Registered { .. } | E::Deleted { .. } | E::RegistrationAbandoned { .. }),
            ) => self.item.apply(event),
            MarketEvent::Alarm(event) => self.alarm.apply(event),
            MarketEvent::Item(
                E::Changed { .. }
                | E::PeriodBlocked { .. }
                | E::PeriodUnblocked { .. }
                | E::Held { .. }
                | E::Released { .. }
                | E::LendingAuthorized { .. }
                | E::LendingRevoked { .. }
                | E::LendingRevocationRefused { .. }
                | E::Rented { .. }
                | E::Returned { .. },
            )
            | MarketEvent::Reservation(_)
            | MarketEvent::Payment(_)
            | MarketEvent::Hold(_) => {}
        }
    }

    /// The next step; neither of the two logs alone shows it.
    pub(super) fn next_steps(&self, seen: Services) -> Vec<NextStep> {
        if !seen.contains(Service::Item) || !seen.contains(Service::Alarm) {
            return vec![];
        }
        let step = match (self.item.listing(), self.alarm) {
            (None, Alarm::Alerted) => SagaStep::Register,
            (Some(Listing::Abandoned), Alarm::Alerted) => SagaStep::Withdraw,
            // The registration's alarm was raised before the events that are known here.
            (Some(Listing::Deleted { .. }), Alarm::Silent | Alarm::Alerted) => {
                SagaStep::AnnounceDeletion
            }
            (
                None | Some(Listing::Abandoned),
                Alarm::Silent | Alarm::DeleteAlerted | Alarm::Withdrawn,
            )
            | (
                Some(Listing::Registered { .. }),
                Alarm::Silent | Alarm::Alerted | Alarm::DeleteAlerted | Alarm::Withdrawn,
            )
            | (Some(Listing::Deleted { .. }), Alarm::DeleteAlerted | Alarm::Withdrawn) => {
                return vec![];
            }
        };
        vec![step.into()]
    }

    /// The parts that are shown of it.
    pub(super) fn parts(&self, no: ItemNo) -> SagaParts {
        let state = match self.item.listing() {
            Some(Listing::Registered { .. }) => Some("Registered"),
            Some(Listing::Deleted { .. }) => Some("Deleted"),
            Some(Listing::Abandoned) => Some("Abandoned"),
            None => match self.alarm {
                Alarm::Silent => None,
                Alarm::Alerted => Some("Alerted"),
                Alarm::DeleteAlerted => Some("DeleteAlerted"),
                Alarm::Withdrawn => Some("Withdrawn"),
            },
        };
        SagaParts {
            key: SagaKey::Item(no),
            item_no: Some(no),
            state,
            pay_by: None,
            period: None,
            payments: BTreeMap::new(),
        }
    }
}
