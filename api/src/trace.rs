//! The trace of a reservation as callers see it: every event that led to it or followed from it, across
//! all streams, as a tree of causes.

use gdmarket_domain::{Actor, ReservationNo};
use gdmarket_projections::{ReservationTrace, Trace, TracedEvent};
use serde::Serialize;
use utoipa::ToSchema;

/// A reservation's story.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Story)]
pub(crate) struct TraceResource {
    reservation_no: i64,
    /// The requests of people, in order, each with the events that followed.
    events: Vec<TracedEvent>,
    /// Whether this is all of it: a story of more than ten thousand events is cut, and services may be missing.
    complete: bool,
    /// The services that didn't answer: what they have of the story isn't shown. Absent if all did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    missing: Vec<&'static str>,
}

impl TraceResource {
    pub(crate) fn of(no: ReservationNo, found: ReservationTrace) -> Self {
        let complete = found.trace.is_complete();
        let Trace { events, missing, .. } = found.trace;
        let missing = missing.iter().map(|part| part.service.name()).collect();
        Self { reservation_no: no.get(), events, complete, missing }
    }
}

/// Whether an actor may read this trace: its renter, the item's owner, and operators may.
pub(crate) fn may_read(actor: &Actor, found: &ReservationTrace) -> bool {
    actor.is_owner(found.owner_id) || found.renter_id.is_some_and(|renter| actor.is_renter(renter))
}
