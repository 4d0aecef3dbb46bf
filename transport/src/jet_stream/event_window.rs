//! The newest events of a stream, in memory, for all subscriptions of a process that read the log.

use gdmarket_projections::Delivery;
use std::collections::BTreeMap;

/// The most events.
const MAX_EVENTS: usize = 8_192;
/// The most bytes of their payloads.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The newest events of a stream. They may have come in any order and with gaps.
#[derive(Debug, Default)]
pub(super) struct EventWindow {
    /// By their positions.
    events: BTreeMap<i64, Delivery>,
    bytes: usize,
}

impl EventWindow {
    /// Adds an event; returns whether it is new. The first one at a position stays.
    pub(super) fn insert(&mut self, delivery: Delivery) -> bool {
        let position = delivery.event.position;
        if self.events.contains_key(&position) {
            return false;
        }
        self.bytes += size(&delivery);
        self.events.insert(position, delivery);
        while self.events.len() > MAX_EVENTS || self.bytes > MAX_BYTES {
            let Some((_, oldest)) = self.events.pop_first() else { break };
            self.bytes -= size(&oldest);
        }
        true
    }

    /// The events that continue a log after `position` without a gap.
    pub(super) fn after(&self, position: i64, limit: usize) -> Vec<Delivery> {
        let mut expected = position;
        let mut found = vec![];
        for (position, delivery) in self.events.range(position.saturating_add(1)..).take(limit) {
            if delivery.previous != expected {
                break;
            }
            expected = *position;
            found.push(delivery.clone());
        }
        found
    }

    /// Whether there is an event that continues a log after `position`.
    pub(super) fn continues(&self, position: i64) -> bool {
        let mut later = self.events.range(position.saturating_add(1)..);
        later.next().is_some_and(|(_, delivery)| delivery.previous == position)
    }

    /// The event at a position.
    pub(super) fn at(&self, position: i64) -> Option<&Delivery> {
        self.events.get(&position)
    }

    /// The highest position; 0 without any event.
    pub(super) fn newest(&self) -> i64 {
        self.events.last_key_value().map_or(0, |(position, _)| *position)
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn size(delivery: &Delivery) -> usize {
    delivery.event.payload.len() + delivery.event.metadata.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_projections::LogPage;

    fn delivery(position: i64, previous: i64, bytes: usize) -> Delivery {
        let line = serde_json::json!({
            "position": position, "previous": previous, "aggregateType": "item", "number": 1,
            "sequence": 1, "eventType": "X", "eventVersion": "1", "payload": "x".repeat(bytes),
            "metadata": "", "recordedAt": 0,
        });
        LogPage::parse_event_line(line.to_string().as_bytes()).unwrap()
    }

    fn positions(window: &EventWindow, after: i64) -> Vec<i64> {
        window.after(after, 100).iter().map(|delivery| delivery.event.position).collect()
    }

    #[test]
    fn only_what_continues_the_log_is_given() {
        let mut window = EventWindow::default();
        for (position, previous) in [(9, 7), (4, 2), (7, 4), (4, 2), (15, 12)] {
            window.insert(delivery(position, previous, 1));
        }
        assert_eq!(positions(&window, 2), [4, 7, 9]);
        assert_eq!(positions(&window, 7), [9]);
        assert_eq!(window.after(2, 2).len(), 2);
        for hole in [0, 1, 3, 9, 10, 15] {
            assert!(positions(&window, hole).is_empty() && !window.continues(hole), "{hole}");
        }
        assert!(window.continues(4) && window.continues(12));
        assert_eq!(window.newest(), 15);
        assert!(!window.insert(delivery(9, 1, 1)), "the first one stays");
        assert_eq!(window.at(9).unwrap().previous, 7);
    }

    #[test]
    fn oldest_events_make_room() {
        let mut window = EventWindow::default();
        for position in 1..=10_000 {
            window.insert(delivery(position, position - 1, 1));
        }
        assert_eq!((window.events.len(), window.newest()), (MAX_EVENTS, 10_000));
        assert!(positions(&window, 0).is_empty() && window.continues(9_999));
        window.insert(delivery(10_001, 10_000, MAX_BYTES - 10));
        assert!(window.bytes <= MAX_BYTES && window.events.len() <= 11);
    }
}
