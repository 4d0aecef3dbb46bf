//! The whole story of a reservation as it goes over the wire: every event that led to it or followed
//! from it, across all streams, as a tree of causes. Gathering it is the projections' business; here
//! is its shape, and who may read it.

use chrono::{DateTime, Utc};
use gdmarket_domain::{Actor, ReservationNo};
use gdmarket_projections::{ReservationTrace, ToldEvent, TracedEvent};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// An event with what followed from it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StoryEvent)]
pub(crate) struct TraceEvent {
    /// Where it is in the log.
    position: i64,
    /// Whose event it is.
    #[schema(example = "reservation/1")]
    stream: String,
    /// Its number in the stream.
    sequence: i64,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(example = "ReservationRequested")]
    event_type: String,
    /// The version of the event's shape.
    version: String,
    recorded_at: DateTime<Utc>,
    /// On whose behalf.
    #[schema(required)]
    actor: Option<String>,
    #[schema(required)]
    command_id: Option<String>,
    /// What all events of one request share.
    #[schema(required)]
    correlation_id: Option<String>,
    /// The position of the event that caused it; `null` for what a person asked.
    #[schema(required)]
    caused_by: Option<i64>,
    /// What the event says.
    data: Value,
    /// What followed from it.
    #[schema(no_recursion)]
    consequences: Vec<Self>,
}

/// A reservation's story.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Story)]
pub(crate) struct Trace {
    reservation_no: i64,
    /// What people asked, in order, each with all that followed.
    events: Vec<TraceEvent>,
    /// Whether this is all of it: a story of more than ten thousand events is cut.
    complete: bool,
}

impl Trace {
    pub(crate) fn of(no: ReservationNo, found: ReservationTrace) -> Self {
        let events = found.trace.events.into_iter().map(TraceEvent::from).collect();
        Self { reservation_no: no.get(), events, complete: found.trace.is_complete }
    }
}

/// Whether an actor may read this story: its renter, the item's owner, and operators.
pub(crate) fn may_read(actor: &Actor, found: &ReservationTrace) -> bool {
    actor.is_owner(found.owner_id) || found.renter_id.is_some_and(|renter| actor.is_renter(renter))
}

impl From<TracedEvent> for TraceEvent {
    fn from(TracedEvent { event, consequences }: TracedEvent) -> Self {
        let ToldEvent {
            position,
            stream,
            sequence,
            event_type,
            version,
            recorded_at,
            actor,
            command_id,
            correlation_id,
            caused_by,
            data,
        } = event;
        let consequences = consequences.into_iter().map(Self::from).collect();
        Self {
            position,
            stream,
            sequence,
            event_type,
            version,
            recorded_at,
            actor,
            command_id,
            correlation_id,
            caused_by,
            data,
            consequences,
        }
    }
}
