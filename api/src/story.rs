//! The whole story of a reservation: every event that led to it or followed from it, across all
//! streams, as a tree of causes. The log is read through [`Stories`], which `wiring.rs` implements.

use crate::problem::Problem;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gdmarket_domain::ReservationNo;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// Reads the events of a story.
#[async_trait]
pub(crate) trait Stories: Send + Sync + 'static {
    /// All events that belong to a reservation; none if there is no such reservation.
    async fn of_reservation(&self, no: ReservationNo) -> Result<Vec<StoryEvent>, Problem>;
}

/// An event with what followed from it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoryEvent {
    /// Where it is in the log.
    pub(crate) position: i64,
    /// Whose event it is.
    #[schema(example = "reservation/1")]
    pub(crate) stream: String,
    /// Its number in the stream.
    pub(crate) sequence: i64,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(example = "ReservationRequested")]
    pub(crate) event_type: String,
    /// The version of the event's shape.
    pub(crate) version: String,
    pub(crate) recorded_at: DateTime<Utc>,
    /// On whose behalf.
    #[schema(required)]
    pub(crate) actor: Option<String>,
    #[schema(required)]
    pub(crate) command_id: Option<String>,
    /// What all events of one request share.
    #[schema(required)]
    pub(crate) correlation_id: Option<String>,
    /// The position of the event that caused it; `null` for what a person asked.
    #[schema(required)]
    pub(crate) caused_by: Option<i64>,
    /// What the event says.
    pub(crate) data: Value,
    /// What followed from it.
    #[schema(no_recursion)]
    pub(crate) consequences: Vec<Self>,
}

/// A reservation's story.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Story {
    pub(crate) reservation_no: i64,
    /// What people asked, in order, each with all that followed.
    pub(crate) events: Vec<StoryEvent>,
}

/// Puts every event under the one that caused it. A cause outside the story counts as none.
pub(crate) fn tree(events: Vec<StoryEvent>) -> Vec<StoryEvent> {
    let known: BTreeSet<i64> = events.iter().map(|event| event.position).collect();
    let mut below: BTreeMap<Option<i64>, Vec<StoryEvent>> = BTreeMap::new();
    for event in events {
        // An event can only follow from an earlier one: anything else would never end.
        let cause =
            event.caused_by.filter(|cause| known.contains(cause) && *cause < event.position);
        below.entry(cause).or_default().push(event);
    }
    take_below(&mut below, None)
}

fn take_below(
    below: &mut BTreeMap<Option<i64>, Vec<StoryEvent>>,
    cause: Option<i64>,
) -> Vec<StoryEvent> {
    let mut events = below.remove(&cause).unwrap_or_default();
    events.sort_by_key(|event| event.position);
    for event in &mut events {
        event.consequences = take_below(below, Some(event.position));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(position: i64, caused_by: Option<i64>) -> StoryEvent {
        StoryEvent {
            position,
            stream: "reservation/1".to_owned(),
            sequence: position,
            event_type: String::new(),
            version: String::new(),
            recorded_at: DateTime::default(),
            actor: None,
            command_id: None,
            correlation_id: None,
            caused_by,
            data: Value::Null,
            consequences: vec![],
        }
    }

    fn shape(events: &[StoryEvent]) -> String {
        let parts = events.iter().map(|e| format!("{}({})", e.position, shape(&e.consequences)));
        parts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_event_stands_under_its_cause_and_none_is_lost() {
        let events = vec![
            event(5, Some(3)),
            event(1, None),
            event(3, Some(1)),
            event(4, Some(1)),
            event(7, Some(99)),
            event(8, Some(8)),
        ];
        assert_eq!(shape(&tree(events)), "1(3(5()) 4()) 7() 8()");
    }
}
