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
    /// Whether this is all of it: a story of more than ten thousand events is cut.
    complete: bool,
}

impl TraceResource {
    pub(crate) fn of(no: ReservationNo, found: ReservationTrace) -> Self {
        let Trace { events, is_complete } = found.trace;
        Self { reservation_no: no.get(), events, complete: is_complete }
    }
}

/// Whether an actor may read this trace: its renter, the item's owner, and operators may.
pub(crate) fn may_read(actor: &Actor, found: &ReservationTrace) -> bool {
    actor.is_owner(found.owner_id) || found.renter_id.is_some_and(|renter| actor.is_renter(renter))
}
