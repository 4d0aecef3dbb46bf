//! Tests of every row of every manager's table.

use super::all_managers;
use crate::engine::process_manager::{Moment, ProcessStep as _};
use crate::processes::options::Options;
use crate::processes::refusals::Rule;
use crate::processes::step::{AnyManager, Reaction, Step};
use chrono::{DateTime, Utc};
use gdmarket_domain::MarketEvent;
use serde_json::json;
use std::fmt::Write;
use std::sync::Arc;

const RECORDED: &str = "2027-01-01T00:00:00Z";

fn moment() -> Moment {
    Moment { recorded_at: RECORDED.parse::<DateTime<Utc>>().unwrap() }
}

fn event(aggregate: &str, event_type: &str, body: &serde_json::Value) -> MarketEvent {
    let payload = json!({ event_type: body }).to_string();
    MarketEvent::decode(aggregate, event_type, "1", &payload).unwrap()
}

/// The reactions of a manager to an event as text, with the key first.
fn reactions(manager: &AnyManager, event: &MarketEvent) -> Vec<String> {
    let Some(reactions) = manager.react(event, moment()) else { return vec![] };
    let described = |reaction: &Reaction| match reaction {
        Reaction::Do(Step::Send(rule, command)) => format!("{rule:?} {command:?}"),
        Reaction::Do(step) => format!("{step:?}"),
        Reaction::SetDeadline { key, due_at, data } => format!("set {key} {due_at} {data}"),
        Reaction::ClearDeadline { key } => format!("clear {key}"),
    };
    std::iter::once(format!("{} of {}", reactions.key, reactions.partition))
        .chain(reactions.steps.iter().map(described))
        .collect()
}

fn managers() -> Vec<Arc<AnyManager>> {
    all_managers(&Options::default())
}

/// One event of every kind, with every field that any of them has.
const EVENTS: [(&str, &str); 40] = [
    ("item", "ItemRegistered"),
    ("item", "ItemChanged"),
    ("item", "ItemDeleted"),
    ("item", "PeriodBlocked"),
    ("item", "PeriodUnblocked"),
    ("item", "ItemHeld"),
    ("item", "ItemReleased"),
    ("item", "LendingAuthorized"),
    ("item", "LendingRevoked"),
    ("item", "LendingRevocationRefused"),
    ("item", "ItemRented"),
    ("item", "ItemReturned"),
    ("item", "RegistrationAbandoned"),
    ("hold", "HoldRefused"),
    ("reservation", "ReservationRequested"),
    ("reservation", "Reserved"),
    ("reservation", "ReservationRejected"),
    ("reservation", "ReservationCancellationRequested"),
    ("reservation", "ReservationCancellationRefused"),
    ("reservation", "ReservationCancelled"),
    ("reservation", "PaymentRequested"),
    ("reservation", "ReservationPaid"),
    ("reservation", "PaymentFailed"),
    ("reservation", "PaymentCancellationRequested"),
    ("reservation", "PaymentCancellationRefused"),
    ("reservation", "ReservationPaymentCancelled"),
    ("reservation", "LatePaymentRecorded"),
    ("reservation", "RentalStarted"),
    ("reservation", "RentalCompleted"),
    ("reservation", "ReservationExpired"),
    ("payment", "PaymentStarted"),
    ("payment", "PaymentApproved"),
    ("payment", "PaymentDeclined"),
    ("payment", "PaymentOutcomeUnknown"),
    ("payment", "PaymentCancellationStarted"),
    ("payment", "PaymentRefundRefused"),
    ("payment", "PaymentCancelled"),
    ("alarm", "Alerted"),
    ("alarm", "DeleteAlerted"),
    ("alarm", "AlarmWithdrawn"),
];

/// All fields of all events; each event ignores the others' fields.
fn fields() -> serde_json::Value {
    json!({
        "itemNo": 3, "reservationNo": 7, "paymentNo": 9, "renterId": 4, "ownerId": 5,
        "askedOn": "2027-01-01", "from": "2027-01-01", "itemName": "Camera", "itemPrice": 100,
        "totalPrice": 100, "amount": 100, "reason": "no-cover", "payBy": "2027-01-01T00:15:00Z",
        "period": {"from": "2027-01-05", "to": "2027-01-08"},
    })
}

#[test]
fn every_event_has_the_reactions_of_the_tables() {
    let mut table = String::new();
    for (aggregate, event_type) in EVENTS {
        let event = event(aggregate, event_type, &fields());
        writeln!(table, "{event_type}").unwrap();
        for manager in managers() {
            let described = reactions(&*manager, &event);
            assert!(
                described.is_empty() || manager.sources().contains(&aggregate),
                "{} doesn't read {aggregate}",
                manager.name()
            );
            if !described.is_empty() {
                writeln!(table, "  {}: {}", manager.name(), described.join(" | ")).unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn only_a_refund_takes_long() {
    assert!(Step::Refund(9.try_into().unwrap()).takes_long());
    assert!(!Step::Settle(9.try_into().unwrap(), None).takes_long());
    assert_eq!(Step::Refund(9.try_into().unwrap()).rule(), Rule::Refund);
}
