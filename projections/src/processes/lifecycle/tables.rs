//! Events, rows of deadlines and reactions by number; each manager is called once per event.

use super::fixtures::{Id, failed_at, minute};
use super::request_state::Lines;
use crate::engine::process_manager::Moment;
use crate::processes::holding::Holding;
use crate::processes::options::Options;
use crate::processes::payment_process::PaymentProcess;
use crate::processes::reservation_process::ReservationProcess;
use crate::processes::step::{AnyManager, Due, Reaction, Step};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use gdmarket_domain::{Hold, Item, ItemEvent, MarketEvent, Payment, PaymentEvent, Reservation};
use serde_json::Value;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// The events of all histories.
#[derive(Default)]
pub(super) struct Events(Vec<MarketEvent>);

impl Events {
    pub(super) fn id(&mut self, event: MarketEvent) -> Id {
        let at = self.0.iter().position(|other| *other == event).unwrap_or_else(|| {
            self.0.push(event);
            self.0.len() - 1
        });
        Id::try_from(at + 1).expect("fewer events than numbers")
    }

    pub(super) fn get(&self, id: Id) -> &MarketEvent {
        &self.0[usize::from(id) - 1]
    }
}

/// One manager's reaction to an event, with its reservation and its queue.
#[derive(Clone)]
pub(super) struct QueuedReaction {
    pub(super) request: usize,
    pub(super) line: Lines,
    pub(super) reaction: Reaction,
}

/// The reactions of the market's managers, without the alarm's.
pub(super) struct Tables {
    managers: [Arc<AnyManager>; 3],
    options: Options,
    reactions: HashMap<Id, Rc<[QueuedReaction]>>,
    rows: Vec<Value>,
}

impl Tables {
    pub(super) fn new() -> Self {
        let options = Options { settle_looks: 2, ..Options::default() };
        let managers: [Arc<AnyManager>; 3] = [
            Arc::new(Holding),
            Arc::new(ReservationProcess { pay_within: options.pay_within }),
            Arc::new(PaymentProcess::new(&options)),
        ];
        Self { managers, options, reactions: HashMap::new(), rows: vec![] }
    }

    pub(super) const fn options(&self) -> &Options {
        &self.options
    }

    /// The reactions to this event.
    pub(super) fn reactions(&mut self, id: Id, events: &Events) -> Rc<[QueuedReaction]> {
        if let Some(known) = self.reactions.get(&id) {
            return Rc::clone(known);
        }
        let event = events.get(id);
        let source = kind(event);
        let moment = Moment { recorded_at: recorded_at(event) };
        let mut all = vec![];
        for manager in self.managers.iter().filter(|m| m.sources().contains(&source)) {
            let Some(reactions) = manager.react(event, moment) else { continue };
            let (request, attempt) = reservation_of(&reactions.key);
            let line = match (manager.name(), source) {
                ("holding", _) => Lines::Holding,
                ("payment_process", Payment::TYPE) => Lines::Settled(attempt),
                ("payment_process", _) => Lines::Requested(attempt),
                (_, Item::TYPE) => Lines::Item,
                (_, Hold::TYPE) => Lines::Hold,
                (_, Reservation::TYPE) => Lines::Deadlines,
                (_, _) => Lines::Outcomes(attempt_of(event)),
            };
            let [reaction] = &reactions.steps[..] else { panic!("one step: {reactions:?}") };
            all.push(QueuedReaction { request, line, reaction: reaction.clone() });
        }
        let all: Rc<[QueuedReaction]> = all.into();
        self.reactions.insert(id, Rc::clone(&all));
        all
    }

    /// The reaction of this queue to this event.
    pub(super) fn reaction(&mut self, id: Id, line: Lines, events: &Events) -> Reaction {
        let all = self.reactions(id, events);
        let own = all.iter().find(|waiting| waiting.line == line);
        own.expect("a reaction of its own queue").reaction.clone()
    }

    /// The number of a row's data.
    pub(super) fn row(&mut self, data: &Value) -> Id {
        let at = self.rows.iter().position(|other| other == data).unwrap_or_else(|| {
            self.rows.push(data.clone());
            self.rows.len() - 1
        });
        Id::try_from(at + 1).expect("fewer rows than numbers")
    }

    /// The step of a row that is due, and the row that replaces it.
    pub(super) fn due(&mut self, manager: &str, key: &str, row: Id) -> (Step, Id) {
        let data = &self.rows[usize::from(row) - 1];
        let moment = Moment { recorded_at: never() };
        let manager = self.managers.iter().find(|m| m.name() == manager).expect("a manager");
        let Due { steps, again } = manager.due(key, data, moment).expect("a row that can be read");
        let again = again.map_or(0, |(_, data)| self.row(&data));
        let [step] = &steps[..] else { panic!("one step: {steps:?}") };
        (step.clone(), again)
    }
}

/// A time that no reaction to a row may depend on.
fn never() -> DateTime<Utc> {
    minute(1_000_000)
}

/// When an event was recorded: late enough to move the time to pay, by the attempt that failed.
pub(super) fn recorded_at(event: &MarketEvent) -> DateTime<Utc> {
    match event {
        MarketEvent::Payment(PaymentEvent::Declined { payment_no, .. }) => {
            failed_at(payment_no.get())
        }
        MarketEvent::Item(ItemEvent::LendingRevoked { .. }) => minute(17),
        MarketEvent::Item(_)
        | MarketEvent::Reservation(_)
        | MarketEvent::Payment(_)
        | MarketEvent::Hold(_)
        | MarketEvent::Alarm(_) => minute(0),
    }
}

fn kind(event: &MarketEvent) -> &'static str {
    match event {
        MarketEvent::Item(_) => Item::TYPE,
        MarketEvent::Reservation(_) => Reservation::TYPE,
        MarketEvent::Payment(_) => Payment::TYPE,
        MarketEvent::Hold(_) => Hold::TYPE,
        MarketEvent::Alarm(_) => "alarm",
    }
}

fn attempt_of(event: &MarketEvent) -> usize {
    let MarketEvent::Payment(
        PaymentEvent::Approved { payment_no, .. } | PaymentEvent::Declined { payment_no, .. },
    ) = event
    else {
        panic!("no outcome: {event:?}")
    };
    reservation_of(&format!("payment/{payment_no}")).1
}

/// The reservation of a key, and its attempt.
fn reservation_of(key: &str) -> (usize, usize) {
    let (kind, number) = key.split_once('/').expect("a key");
    let number: usize = number.parse().expect("a number");
    match kind {
        "reservation" => (number - 1, 0),
        "payment" => ((number - 1) / 2, (number - 1) % 2),
        other => panic!("no reservation of {other}"),
    }
}
