//! The alarm's saga, in two halves, each on the side of the aggregate that it commands.
//!
//! `alarm_saga`, on the alarm's side, announces deletions and withdraws the announcement of an abandoned
//! registration. `abandonment`, on the item's side, abandons a registration that was announced but not
//! recorded in time; the item decides a race with a late registration.

use super::refusals::Rule;
use super::step::{Due, Reaction, Reactions, Step};
use crate::engine::process_manager::{Manager, Moment, Remedy};
use cqrs_es::Aggregate;
use gdmarket_domain::{
    Alarm, AlarmCommand, AlarmEvent, Item, ItemCommand, ItemEvent, ItemNo, ManagerName,
    MarketCommand, MarketEvent,
};
use serde_json::{Value, json};
use std::time::Duration;

/// The half on the alarm's side.
#[derive(Debug)]
pub(crate) struct AlarmSaga;

/// The half on the item's side.
#[derive(Debug)]
pub(crate) struct Abandonment {
    /// How long after its alarm a missing registration is abandoned.
    pub(crate) abandon_after: Duration,
}

impl Manager for AlarmSaga {
    type Step = Step;

    fn name(&self) -> &'static str {
        ManagerName::AlarmSaga.name()
    }

    fn sources(&self) -> &'static [&'static str] {
        &[Item::TYPE]
    }

    fn react(&self, event: &MarketEvent, _moment: Moment) -> Option<Reactions> {
        let MarketEvent::Item(event) = event else { return None };
        let (item_no, command) = announce(event)?;
        let send = Step::Send(Rule::Announce, MarketCommand::Alarm(item_no, command));
        Some(Reactions::of(key(item_no), Reaction::Do(send)))
    }

    fn due(&self, _key: &str, _data: &Value, _moment: Moment) -> Option<Due> {
        None
    }

    fn compensate(&self, step: &Step, refusal: &str) -> Remedy<Step> {
        step.remedy(refusal)
    }
}

impl Manager for Abandonment {
    type Step = Step;

    fn name(&self) -> &'static str {
        ManagerName::Abandonment.name()
    }

    fn sources(&self) -> &'static [&'static str] {
        &[Alarm::TYPE, Item::TYPE]
    }

    fn react(&self, event: &MarketEvent, moment: Moment) -> Option<Reactions> {
        let (item_no, step) = match event {
            MarketEvent::Alarm(AlarmEvent::Alerted { item_no }) => {
                let due_at = moment.recorded_at + self.abandon_after;
                let (key, data) = (key(*item_no), json!(item_no));
                (*item_no, Reaction::SetDeadline { key, due_at, data })
            }
            MarketEvent::Item(ItemEvent::Registered { item_no, .. }) => {
                (*item_no, Reaction::ClearDeadline { key: key(*item_no) })
            }
            MarketEvent::Alarm(_)
            | MarketEvent::Item(_)
            | MarketEvent::Reservation(_)
            | MarketEvent::Payment(_)
            | MarketEvent::Hold(_) => return None,
        };
        Some(Reactions::of(key(item_no), step))
    }

    fn due(&self, _key: &str, data: &Value, _moment: Moment) -> Option<Due> {
        let item_no = serde_json::from_value::<ItemNo>(data.clone()).ok()?;
        let abandon = MarketCommand::Item(item_no, ItemCommand::AbandonRegistration { item_no });
        Some(Due { steps: vec![Step::Send(Rule::Abandon, abandon)], again: None })
    }

    fn compensate(&self, step: &Step, refusal: &str) -> Remedy<Step> {
        step.remedy(refusal)
    }
}

fn announce(event: &ItemEvent) -> Option<(ItemNo, AlarmCommand)> {
    use ItemEvent as E;
    match *event {
        E::Deleted { item_no } => Some((item_no, AlarmCommand::RaiseDeletion { item_no })),
        E::RegistrationAbandoned { item_no } => Some((item_no, AlarmCommand::Withdraw { item_no })),
        E::Registered { .. }
        | E::Changed { .. }
        | E::PeriodBlocked { .. }
        | E::PeriodUnblocked { .. }
        | E::Held { .. }
        | E::Released { .. }
        | E::LendingAuthorized { .. }
        | E::LendingRevoked { .. }
        | E::LendingRevocationRefused { .. }
        | E::Rented { .. }
        | E::Returned { .. } => None,
    }
}

fn key(item_no: ItemNo) -> String {
    format!("item/{item_no}")
}
