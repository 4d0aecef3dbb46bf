//! The events of one or several logs as a tree: every event under the one that caused it.

use super::TracedEvent;
use crate::inspect::event_view::EventView;
use gdmarket_domain::{AggregateType, MarketPart, Service, Services};
use gdmarket_store::RecordedEvent;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// The events of a trace in one log.
#[derive(Debug)]
pub(super) struct LogEvents {
    pub(super) log_id: Uuid,
    pub(super) services: Services,
    pub(super) events: Vec<Arc<RecordedEvent>>,
}

/// How causes are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logs {
    /// The log of the whole market.
    One,
    /// The logs of all services that may have a part.
    All,
    /// As `All`, but some didn't answer.
    Some,
}

/// Where an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct LogPlace {
    log: usize,
    position: i64,
}

/// An event before it has its place in the tree.
struct Node {
    place: LogPlace,
    cause: Option<LogPlace>,
    traced: TracedEvent,
}

/// Where an event's cause is, from its metadata: the id and the epoch of the log, and the position.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct CauseNote {
    causation_source: Option<String>,
    causation_position: Option<String>,
}

/// Puts every event under the one that caused it. A cause outside the trace counts as none.
pub(super) fn tree(logs: &[LogEvents], known: Logs) -> Vec<TracedEvent> {
    let causes = Causes::new(logs, known);
    let mut below: BTreeMap<Option<LogPlace>, Vec<Node>> = BTreeMap::new();
    for node in in_order(logs, &causes) {
        below.entry(node.cause).or_default().push(node);
    }
    let mut roots = take_below(&mut below, None);
    // Events that caused each other can only be written by hand; they are shown, too.
    while let Some(cause) = below.keys().next().copied() {
        roots.extend(take_below(&mut below, cause));
    }
    roots
}

fn take_below(
    below: &mut BTreeMap<Option<LogPlace>, Vec<Node>>,
    cause: Option<LogPlace>,
) -> Vec<TracedEvent> {
    let events = below.remove(&cause).unwrap_or_default().into_iter();
    let traced = events.map(|Node { place, traced, .. }| {
        let consequences = take_below(below, Some(place));
        TracedEvent { consequences, ..traced }
    });
    traced.collect()
}

/// All events: those of one log in its order, those of several by time.
fn in_order(logs: &[LogEvents], causes: &Causes) -> Vec<Node> {
    let mut all: Vec<(i64, Node)> = vec![];
    for (log, of) in logs.iter().enumerate() {
        let mut events: Vec<&Arc<RecordedEvent>> = of.events.iter().collect();
        events.sort_by_key(|event| event.position);
        let mut latest = i64::MIN;
        for event in events {
            // A clock that was set back doesn't change the order of a log.
            latest = latest.max(event.recorded_at);
            let place = LogPlace { log, position: event.position };
            let service = (causes.known != Logs::One).then(|| owner(event, of.services)).flatten();
            let traced = TracedEvent {
                event: EventView::from(event.as_ref()),
                service: service.map(Service::name),
                consequences: vec![],
            };
            all.push((latest, Node { place, cause: causes.of(place, event), traced }));
        }
    }
    all.sort_by_key(|(latest, node)| (*latest, node.place));
    all.into_iter().map(|(_, node)| node).collect()
}

/// The service that an event belongs to.
fn owner(event: &RecordedEvent, services: Services) -> Option<Service> {
    let aggregate = AggregateType::named(&event.stream.kind);
    let owner = aggregate.map(|aggregate| Service::of(MarketPart::Aggregate(aggregate)));
    owner.or_else(|| services.iter().next())
}

/// Finds the causes of events.
struct Causes {
    known: Logs,
    log_ids: Vec<Uuid>,
    /// When each event was recorded.
    events: BTreeMap<LogPlace, i64>,
}

impl Causes {
    fn new(logs: &[LogEvents], known: Logs) -> Self {
        let mut events = BTreeMap::new();
        for (log, of) in logs.iter().enumerate() {
            for event in &of.events {
                events.insert(LogPlace { log, position: event.position }, event.recorded_at);
            }
        }
        Self { known, log_ids: logs.iter().map(|log| log.log_id).collect(), events }
    }

    /// The place of the cause, if that is one of the events.
    fn of(&self, place: LogPlace, event: &RecordedEvent) -> Option<LogPlace> {
        let note: CauseNote = serde_json::from_str(&event.metadata).unwrap_or_default();
        let position = note.causation_position?.parse().ok()?;
        let log = match self.known {
            // After a restore or an import the log has another identity, and its old positions.
            Logs::One => Some(0),
            Logs::All | Logs::Some => {
                let source = note.causation_source.unwrap_or_default();
                let log_id = source.split('/').next().and_then(|id| Uuid::try_parse(id).ok());
                match log_id.and_then(|id| self.log_ids.iter().position(|known| *known == id)) {
                    None if self.known == Logs::All => self.in_an_old_log(position, event),
                    log => log,
                }
            }
        };
        let cause = LogPlace { log: log?, position };
        // In one log a cause is always an earlier event; a cycle would never end.
        let is_earlier = cause.log != place.log || cause.position < place.position;
        (is_earlier && self.events.contains_key(&cause)).then_some(cause)
    }

    /// The log with a cause that is named by a log that doesn't exist any more: the market was split into the logs of
    /// its services, which kept the positions. Events from before the split are the oldest of their position.
    fn in_an_old_log(&self, position: i64, event: &RecordedEvent) -> Option<usize> {
        let logs = (0..self.log_ids.len()).filter_map(|log| {
            let recorded_at = *self.events.get(&LogPlace { log, position })?;
            (recorded_at <= event.recorded_at).then_some((recorded_at, log))
        });
        logs.min().map(|(_, log)| log)
    }
}

#[cfg(test)]
mod tests;
