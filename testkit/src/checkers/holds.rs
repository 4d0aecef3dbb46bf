//! No item is held twice: at every position of the log, the days of an item's reservations are apart from each other.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::log_event::LogEvent;

/// The days that a reservation holds or has taken out; without an end until it is returned.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Days {
    from: String,
    /// The first day after them.
    to: Option<String>,
}

impl Days {
    fn of(held: &LogEvent) -> Option<Self> {
        let to = held.field("period")?.get("to").and_then(Value::as_str).map(str::to_owned);
        Some(Self { from: held.text("from")?, to })
    }

    fn overlap(&self, other: &Self) -> bool {
        let ends_before =
            |one: &Self, two: &Self| one.to.as_ref().is_some_and(|to| *to <= two.from);
        !ends_before(self, other) && !ends_before(other, self)
    }
}

/// Items that two reservations have at one time, and items that are deleted while a reservation has them.
pub fn hold_violations(events: &[LogEvent]) -> Vec<String> {
    let mut held: BTreeMap<i64, BTreeMap<i64, Days>> = BTreeMap::new();
    let mut violations = vec![];
    for event in events.iter().filter(|event| event.stream.kind == "item") {
        let item = held.entry(event.stream.number).or_default();
        let reservation = event.number("reservationNo").unwrap_or_default();
        match event.event_type.as_str() {
            "ItemHeld" => match Days::of(event) {
                None => violations.push(format!("{event} names no days: {}", event.payload)),
                Some(days) => {
                    let others = item
                        .iter()
                        .filter(|(other, of)| **other != reservation && of.overlap(&days));
                    violations.extend(others.map(|(other, of)| {
                        format!("{event}: reservations {other} ({of:?}) and {reservation} ({days:?}) have the same days")
                    }));
                    item.insert(reservation, days);
                }
            },
            "ItemReleased" | "ItemReturned" => {
                item.remove(&reservation);
            }
            "ItemDeleted" if !item.is_empty() => {
                violations.push(format!("{event} while {item:?} have it"));
            }
            _ => {}
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::log_event::StreamName;

    fn event(position: i64, kind: &str, reservation: i64, period: &Value) -> LogEvent {
        let from = period["from"].as_str().unwrap_or("2027-01-05");
        let data = json!({kind: {"reservationNo": reservation, "from": from, "period": period}});
        LogEvent {
            position,
            stream: StreamName::new("item", 1),
            sequence: position,
            event_type: kind.to_owned(),
            event_version: "1".to_owned(),
            payload: data.to_string(),
            metadata: "{}".to_owned(),
            recorded_at: 0,
        }
    }

    #[test]
    fn item_that_is_held_twice_or_deleted_while_it_is_held_is_reported() {
        let open = Value::Null;
        let early = json!({"from": "2027-01-05", "to": "2027-01-08"});
        let next = json!({"from": "2027-01-08", "to": "2027-01-09"});
        let held = |position, reservation, period| event(position, "ItemHeld", reservation, period);
        let count = |log: &[LogEvent]| hold_violations(log).len();
        assert_eq!(count(&[held(1, 1, &early), held(2, 2, &next)]), 0, "neighbours");
        assert_eq!(count(&[held(1, 1, &early), held(2, 2, &early)]), 1, "the same days");
        assert_eq!(count(&[held(1, 1, &open), held(2, 2, &next)]), 1, "until it is returned");
        for end in ["ItemReleased", "ItemReturned"] {
            let ended = event(2, end, 1, &open);
            assert_eq!(count(&[held(1, 1, &open), ended.clone(), held(3, 2, &open)]), 0, "{end}");
            assert_eq!(count(&[held(1, 1, &open), held(2, 2, &open), ended]), 1, "too early");
        }
        assert_eq!(count(&[held(1, 1, &open), event(2, "ItemDeleted", 0, &open)]), 1, "deleted");
    }
}
