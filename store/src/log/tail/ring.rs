//! The last events in memory: every event of the log between two positions, bounded in number and
//! bytes.

use crate::log::event::RecordedEvent;
use std::collections::VecDeque;
use std::sync::Arc;

/// Most bytes kept.
const BYTES: usize = 32 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Ring {
    events: VecDeque<Arc<RecordedEvent>>,
    capacity: usize,
    bytes: usize,
    /// All events after `floor` up to `end` are here; `None` before the first read of the log.
    bounds: Option<(i64, i64)>,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        Self { events: VecDeque::new(), capacity: capacity.max(1), bytes: 0, bounds: None }
    }

    /// Nothing before `head` is here.
    pub(super) fn begin(&mut self, head: i64) {
        self.bounds = Some((head, head));
    }

    /// The last position seen.
    pub(super) fn end(&self) -> Option<i64> {
        self.bounds.map(|(_, end)| end)
    }

    /// Takes the next events of the log.
    pub(super) fn push(&mut self, events: Vec<RecordedEvent>) {
        let Some((mut floor, mut end)) = self.bounds else { return };
        for event in events {
            end = event.position;
            self.bytes += event.size();
            self.events.push_back(Arc::new(event));
        }
        while self.events.len() > self.capacity || self.bytes > BYTES {
            let Some(oldest) = self.events.pop_front() else { break };
            floor = oldest.position;
            self.bytes -= oldest.size();
        }
        self.bounds = Some((floor, end));
    }

    /// The events after this position, if all of them are here.
    pub(super) fn after(&self, position: i64, limit: u32) -> Option<Vec<Arc<RecordedEvent>>> {
        let (floor, _) = self.bounds?;
        if position < floor {
            return None;
        }
        let start = self.events.partition_point(|event| event.position <= position);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Some(self.events.iter().skip(start).take(limit).map(Arc::clone).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::event::StreamId;

    fn event(position: i64) -> RecordedEvent {
        RecordedEvent {
            position,
            stream: StreamId::new("counter", 1),
            sequence: position,
            event_type: "Counted".to_owned(),
            event_version: "1".to_owned(),
            payload: "{}".to_owned(),
            metadata: "{}".to_owned(),
            recorded_at: 0,
            damage: None,
        }
    }

    fn positions(events: Option<Vec<Arc<RecordedEvent>>>) -> Option<Vec<i64>> {
        events.map(|events| events.iter().map(|event| event.position).collect())
    }

    #[test]
    fn ring_answers_only_for_a_range_that_it_has_without_gaps() {
        let mut ring = Ring::new(3);
        assert_eq!(positions(ring.after(0, 10)), None);
        ring.begin(4);
        assert_eq!(positions(ring.after(3, 10)), None);
        assert_eq!(positions(ring.after(4, 10)), Some(vec![]));
        // 6 is a hole of the log.
        ring.push(vec![event(5), event(7), event(8)]);
        assert_eq!(positions(ring.after(4, 10)), Some(vec![5, 7, 8]));
        ring.push(vec![event(9)]);
        assert_eq!(positions(ring.after(4, 10)), None);
        assert_eq!(positions(ring.after(5, 10)), Some(vec![7, 8, 9]));
        assert_eq!(positions(ring.after(6, 2)), Some(vec![7, 8]));
        assert_eq!(positions(ring.after(9, 10)), Some(vec![]));
    }
}
