//! The alarms: each registered item was announced before, each deleted item is announced once, and an announcement is
//! withdrawn if and only if its registration was abandoned.

use std::collections::BTreeMap;

use crate::log_event::LogEvent;

/// By how much clocks of two databases on one machine may differ, in microseconds: SQLite's ticks in milliseconds.
const CLOCK_TICK: i64 = 1_000;

/// What happened to one item.
#[derive(Debug, Default)]
struct History<'a>(BTreeMap<&'a str, Vec<&'a LogEvent>>);

impl History<'_> {
    fn count(&self, event_type: &str) -> usize {
        self.0.get(event_type).map_or(0, Vec::len)
    }

    fn time_of(&self, event_type: &str) -> Option<i64> {
        Some(self.0.get(event_type)?.first()?.recorded_at)
    }

    fn violations(&self) -> Vec<&'static str> {
        let count = |event_type| self.count(event_type);
        let announced = count("Alerted");
        let registered = count("ItemRegistered");
        let is_late =
            self.time_of("Alerted") > self.time_of("ItemRegistered").map(|at| at + CLOCK_TICK);
        let rules = [
            (announced > 1, "is announced more than once"),
            (registered > 0 && announced == 0, "is registered without an announcement"),
            (registered > 0 && is_late, "is announced after its registration"),
            (count("ItemDeleted") < count("DeleteAlerted"), "is said to be deleted and isn't"),
            (count("ItemDeleted") > count("DeleteAlerted"), "is deleted without an announcement"),
            (
                count("RegistrationAbandoned") != count("AlarmWithdrawn"),
                "is abandoned and its announcement isn't withdrawn, or the other way round",
            ),
            (count("RegistrationAbandoned") > 0 && registered > 0, "is abandoned and registered"),
        ];
        rules.into_iter().filter(|(is_broken, _)| *is_broken).map(|(_, rule)| rule).collect()
    }
}

/// The items whose alarms aren't right once nothing is left to do.
pub fn alarm_violations(events: &[LogEvent]) -> Vec<String> {
    let mut items: BTreeMap<i64, History<'_>> = BTreeMap::new();
    let kinds = ["item", "alarm"];
    for event in events.iter().filter(|event| kinds.contains(&event.stream.kind.as_str())) {
        let item = items.entry(event.stream.number).or_default();
        item.0.entry(&event.event_type).or_default().push(event);
    }
    let violations = items.iter().flat_map(|(item, history)| {
        let events: Vec<_> = history.0.values().flatten().map(ToString::to_string).collect();
        let all = history.violations().into_iter();
        all.map(move |rule| format!("item {item} {rule}: {events:?}"))
    });
    violations.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_event::StreamName;

    fn log(types: &[&str]) -> Vec<LogEvent> {
        let event = |(kind, number): (&&str, i64)| LogEvent {
            position: number,
            stream: StreamName::new(if kind.contains("Al") { "alarm" } else { "item" }, 1),
            sequence: number,
            event_type: (*kind).to_owned(),
            event_version: "1".to_owned(),
            payload: "{}".to_owned(),
            metadata: "{}".to_owned(),
            recorded_at: number * 10_000,
        };
        types.iter().zip(1..).map(event).collect()
    }

    #[test]
    fn missing_repeated_late_and_false_alarms_are_reported() {
        for (types, expected) in [
            (&["Alerted", "ItemRegistered"][..], 0),
            (&["Alerted"], 0),
            (&["ItemRegistered"], 1),
            (&["ItemRegistered", "Alerted"], 1),
            (&["Alerted", "Alerted", "ItemRegistered"], 1),
            (&["Alerted", "ItemRegistered", "ItemDeleted", "DeleteAlerted"], 0),
            (&["Alerted", "ItemRegistered", "ItemDeleted"], 1),
            (&["Alerted", "ItemRegistered", "DeleteAlerted"], 1),
            (&["Alerted", "ItemRegistered", "ItemDeleted", "DeleteAlerted", "DeleteAlerted"], 1),
            (&["Alerted", "RegistrationAbandoned", "AlarmWithdrawn"], 0),
            (&["Alerted", "RegistrationAbandoned"], 1),
            (&["Alerted", "ItemRegistered", "AlarmWithdrawn"], 1),
            (&["Alerted", "ItemRegistered", "RegistrationAbandoned", "AlarmWithdrawn"], 1),
        ] {
            let found = alarm_violations(&log(types));
            assert_eq!(found.len(), expected, "{types:?}: {found:?}");
        }
    }
}
