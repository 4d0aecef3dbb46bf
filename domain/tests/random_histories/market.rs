//! The market: the aggregates, their log, the receipts that make redelivery harmless, and the queues in which
//! events wait for the process managers.

use crate::payment_tasks::{Gateway, Task};
use crate::process_managers::{self, Queue, QueueKey};
use crate::rules::Watch;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use cqrs_es::DomainEvent;
use gdmarket_domain::{
    Decider, Hold, Item, ItemCommand, ItemNo, MarketCommand, MarketEvent, Money, Payment,
    PaymentNo, PersonId, Refusal, Reservation, ReservationNo,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A result whose error names the broken rule.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handled {
    Done,
    NoOp,
    Refused(&'static str),
}

/// The id of a process manager's command: its name, the event that caused it, and the step.
pub(crate) type CommandId = (&'static str, usize, u8);

/// Number and price of the registered items.
pub(crate) const ITEMS: [(i64, i64); 2] = [(1, 100), (2, 70)];
/// A number that is never registered.
pub(crate) const NEVER_REGISTERED: i64 = 3;

#[derive(Debug, Default)]
pub(crate) struct Market {
    pub(crate) items: BTreeMap<ItemNo, Item>,
    pub(crate) holds: BTreeMap<ReservationNo, Hold>,
    pub(crate) reservations: BTreeMap<ReservationNo, Reservation>,
    pub(crate) payments: BTreeMap<PaymentNo, Payment>,
    pub(crate) log: Vec<MarketEvent>,
    receipts: BTreeSet<CommandId>,
    pub(crate) queues: BTreeMap<QueueKey, Queue>,
    pub(crate) deadlines: BTreeSet<(ReservationNo, DateTime<Utc>)>,
    pub(crate) to_settle: BTreeSet<PaymentNo>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) gateway: Gateway,
    pub(crate) watch: Watch,
    pub(crate) tally: Tally,
    pub(crate) trace: Vec<String>,
    days_gone: u64,
    minutes_gone: i64,
}

impl Market {
    /// A market with its registered items.
    pub(crate) fn opened() -> Self {
        let mut market = Self::default();
        for (number, price) in ITEMS {
            let item_no = ItemNo::new(number).unwrap();
            let register = ItemCommand::Register {
                item_no,
                owner_id: PersonId::new(number).ok(),
                item_name: format!("thing {number}"),
                item_price: Money::price(price).unwrap(),
            };
            market.send(None, &MarketCommand::Item(item_no, register)).unwrap();
        }
        market
    }

    /// The current day, which only moves forward.
    pub(crate) fn today(&self) -> NaiveDate {
        NaiveDate::from_ymd_opt(2027, 1, 1).unwrap() + Days::new(self.days_gone)
    }

    pub(crate) fn pass_days(&mut self, days: u64) {
        self.days_gone += days;
    }

    /// A new deadline to pay; no two are equal.
    pub(crate) fn next_pay_by(&mut self) -> DateTime<Utc> {
        self.minutes_gone += 1;
        DateTime::UNIX_EPOCH + TimeDelta::minutes(self.minutes_gone)
    }

    /// Decides and appends. A command id that has written once never writes again.
    pub(crate) fn send(
        &mut self,
        id: Option<CommandId>,
        command: &MarketCommand,
    ) -> Outcome<Handled> {
        if id.is_some_and(|id| self.receipts.contains(&id)) {
            return Ok(Handled::Done);
        }
        let decided = self.decide(command);
        self.trace.push(match &decided {
            Ok(events) => format!("{command:?} → {events:?}"),
            Err(code) => format!("{command:?} → {code}"),
        });
        self.tally.all.count(matches!(&decided, Ok(events) if !events.is_empty()));
        let events = match decided {
            Err(code) => return Ok(Handled::Refused(code)),
            Ok(events) if events.is_empty() => return Ok(Handled::NoOp),
            Ok(events) => events,
        };
        self.receipts.extend(id);
        for event in events {
            self.tally.seen.insert(wire_name(&event));
            self.watch.note(&event)?;
            process_managers::enqueue(&mut self.queues, &event, self.log.len());
            process_managers::mark_deadline(&mut self.deadlines, &event);
            self.log.push(event);
        }
        Ok(Handled::Done)
    }

    fn decide(&mut self, command: &MarketCommand) -> Result<Vec<MarketEvent>, &'static str> {
        match command {
            MarketCommand::Item(no, command) => {
                run(&mut self.items, *no, command, MarketEvent::Item)
            }
            MarketCommand::Hold(no, command) => {
                run(&mut self.holds, *no, command, MarketEvent::Hold)
            }
            MarketCommand::Reservation(no, command) => {
                run(&mut self.reservations, *no, command, MarketEvent::Reservation)
            }
            MarketCommand::Payment(no, command) => {
                run(&mut self.payments, *no, command, MarketEvent::Payment)
            }
            MarketCommand::Alarm(..) => Err("no alarm rings here"),
        }
    }
}

fn run<K: Ord, A: Decider>(
    all: &mut BTreeMap<K, A>,
    number: K,
    command: &A::Command,
    whole: impl Fn(A::Event) -> MarketEvent,
) -> Result<Vec<MarketEvent>, &'static str>
where
    A::Event: Clone,
{
    let aggregate = all.entry(number).or_default();
    let events = aggregate.decide(command).map_err(|refusal| refusal.code())?;
    for event in &events {
        aggregate.apply(event.clone());
    }
    Ok(events.into_iter().map(whole).collect())
}

fn wire_name(event: &MarketEvent) -> String {
    match event {
        MarketEvent::Item(event) => event.event_type(),
        MarketEvent::Reservation(event) => event.event_type(),
        MarketEvent::Payment(event) => event.event_type(),
        MarketEvent::Alarm(event) => event.event_type(),
        MarketEvent::Hold(event) => event.event_type(),
    }
}

/// The number of commands that were sent and that wrote an event, and the events that happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) people: Share,
    pub(crate) all: Share,
    seen: BTreeSet<String>,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Share {
    sent: u64,
    accepted: u64,
}

impl Share {
    pub(crate) fn count(&mut self, accepted: bool) {
        self.sent += 1;
        self.accepted += u64::from(accepted);
    }

    pub(crate) fn share_is_at_least_a_third(self) -> bool {
        self.accepted * 3 >= self.sent
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.accepted * 100 / self.sent.max(1);
        write!(f, "{} of {} accepted ({percent} %)", self.accepted, self.sent)
    }
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in [(&mut self.people, other.people), (&mut self.all, other.all)] {
            mine.sent += theirs.sent;
            mine.accepted += theirs.accepted;
        }
        self.seen.extend(other.seen.iter().cloned());
    }

    /// The events of items, reservations, payments and holds that no history led to.
    pub(crate) fn unseen_events(&self) -> Vec<&'static str> {
        const ALL: [&str; 35] = [
            "ItemRegistered",
            "ItemChanged",
            "ItemDeleted",
            "PeriodBlocked",
            "PeriodUnblocked",
            "ItemHeld",
            "ItemReleased",
            "LendingAuthorized",
            "LendingRevoked",
            "LendingRevocationRefused",
            "ItemRented",
            "ItemReturned",
            "HoldRefused",
            "ReservationRequested",
            "Reserved",
            "ReservationRejected",
            "ReservationCancellationRequested",
            "ReservationCancellationRefused",
            "ReservationCancelled",
            "PaymentRequested",
            "ReservationPaid",
            "PaymentFailed",
            "PaymentCancellationRequested",
            "PaymentCancellationRefused",
            "ReservationPaymentCancelled",
            "LatePaymentRecorded",
            "RentalStarted",
            "RentalCompleted",
            "ReservationExpired",
            "PaymentStarted",
            "PaymentApproved",
            "PaymentDeclined",
            "PaymentOutcomeUnknown",
            "PaymentCancellationStarted",
            "PaymentCancelled",
        ];
        ALL.into_iter().filter(|name| !self.seen.contains(*name)).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "people's commands: {}; with the market's own: {}", self.people, self.all)
    }
}
