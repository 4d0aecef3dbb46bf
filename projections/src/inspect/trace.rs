//! The trace of a request across aggregates and services: the requests of people and the events that followed, as a tree
//! of causes. The trace of a reservation is collected from the streams that the reservation names. The
//! trace of a correlation reads whole logs, since appends maintain no index for it.
//!
//! Where services have logs of their own, the others are asked for their parts; one that doesn't answer is named.

mod named_parties;
mod parts;
mod trace_part;
mod trace_query;
mod traced_event;
mod traces;
mod tree;

pub use trace_part::SearchRange;
pub use trace_query::{ServiceTraces, TraceQuery};
pub use traced_event::TracedEvent;
pub use traces::Traces;

use crate::queries::{Queries, QueryError};
use gdmarket_domain::{ItemNo, PersonId, ReservationNo, Service};
use std::time::Duration;
use uuid::Uuid;

/// A trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The events that people requested, in order, each with its consequences.
    pub events: Vec<TracedEvent>,
    /// Whether the trace was cut: it has more than ten thousand events.
    pub is_cut: bool,
    /// The services that may have a part of it and didn't answer.
    pub missing: Vec<MissingPart>,
}

/// A service that didn't answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPart {
    /// The service.
    pub service: Service,
    /// Why, for operators.
    pub problem: String,
}

/// The trace of a reservation, with its renter and owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationTrace {
    /// The renter; `None` if the event can't be read.
    pub renter_id: Option<PersonId>,
    /// The owner of the item; `None` for the operator's items, or if the event can't be read.
    pub owner_id: Option<PersonId>,
    /// The trace.
    pub trace: Trace,
}

impl Trace {
    /// Whether this is all of it.
    pub const fn is_complete(&self) -> bool {
        !self.is_cut && self.missing.is_empty()
    }
}

impl Queries {
    /// The trace of a reservation in the log of the whole market; `None` if there is no such reservation.
    pub async fn trace_reservation(
        &self,
        no: ReservationNo,
    ) -> Result<Option<ReservationTrace>, QueryError> {
        Traces::of_own_log(self.clone()).reservation(no, Duration::ZERO).await
    }

    /// The trace of an item's registration and deletion, with their alarms.
    pub async fn trace_announcement(&self, no: ItemNo) -> Result<Trace, QueryError> {
        Traces::of_own_log(self.clone()).announcement(no, Duration::ZERO).await
    }

    /// The trace of a correlation among the events after one position and up to another. It reads all of
    /// them, and calls `reached` with the position that it has read up to.
    pub async fn trace_correlation(
        &self,
        id: Uuid,
        after: i64,
        until: Option<i64>,
        reached: &mut (dyn FnMut(i64) + Send),
    ) -> Result<Trace, QueryError> {
        let (traces, range) = (Traces::of_own_log(self.clone()), SearchRange { after, until });
        traces.correlation(id, range, Duration::ZERO, reached).await
    }
}
