//! What the command side may ask in order to answer a write: the resource as of a version, what the
//! log says happened next, and whether others have applied it. `log_answers.rs` implements it, so that no
//! handler that writes ever sees a query.

use crate::problem::Problem;
use crate::resource::{ItemResource, ReservationResource, Versioned, Viewer};
use async_trait::async_trait;
use gdmarket_domain::{ItemEvent, ItemNo, ReservationEvent, ReservationNo};
use tokio::time::Instant;

/// The newest version there is.
pub(crate) const NEWEST: i64 = i64::MAX;

/// What happens to an item between its owner and a renter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandOver {
    /// It is fetched.
    Lent,
    /// It is brought back.
    Returned,
}

/// How far an item's leave to be lent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authorisation {
    /// A reservation is paid: it is on its way to the item.
    UnderWay,
    /// The outcome of a payment isn't in.
    Undecided,
    /// Nobody is paying.
    Absent,
}

/// An event of a reservation's stream.
#[derive(Debug, Clone)]
pub(crate) struct StoredReservationEvent {
    /// Its number in the stream: the version that the reservation has after it.
    pub(crate) sequence: i64,
    /// Its place in the log.
    pub(crate) position: i64,
    pub(crate) event: ReservationEvent,
}

/// Answers about what was written.
#[async_trait]
pub(crate) trait Answers: Send + Sync + 'static {
    /// The item as of a version of its stream, deleted or not.
    async fn item_at(
        &self,
        no: ItemNo,
        version: i64,
        viewer: &Viewer,
    ) -> Result<Option<Versioned<ItemResource>>, Problem>;

    /// The item out of the event that was just appended as its first.
    fn new_item(
        &self,
        no: ItemNo,
        event: ItemEvent,
        viewer: &Viewer,
    ) -> Result<Option<Versioned<ItemResource>>, Problem>;

    /// The reservation as of a version of its stream.
    async fn reservation_at(
        &self,
        no: ReservationNo,
        version: i64,
        viewer: &Viewer,
    ) -> Result<Option<Versioned<ReservationResource>>, Problem>;

    /// What happened to a reservation after this sequence.
    async fn reservation_after(
        &self,
        no: ReservationNo,
        sequence: i64,
    ) -> Result<Vec<StoredReservationEvent>, Problem>;

    /// How far the leave to be lent is that a payment gives: of the reservation that is named, else of
    /// any that holds the item.
    async fn authorisation(
        &self,
        item_no: ItemNo,
        reservation_no: Option<ReservationNo>,
    ) -> Result<Authorisation, Problem>;

    /// Whether this had happened to the item for this reservation, as of a version of the item.
    async fn had_happened(
        &self,
        item: (ItemNo, i64),
        reservation_no: ReservationNo,
        what: HandOver,
    ) -> Result<bool, Problem>;

    /// How far the log is.
    fn head(&self) -> i64;

    /// Waits until the log is beyond this position; `false` when the time is over before.
    async fn moved_past(&self, position: i64, until: Instant) -> bool;

    /// Waits for `depth` rounds of reactions to this position; gives the position they led to, as far
    /// as it is known when the time is over.
    async fn reacted(&self, position: i64, depth: u32, until: Instant) -> i64;

    /// Waits until the views have applied this position; `false` when the time is over before.
    async fn viewed(&self, position: i64, until: Instant) -> bool;

    /// The opaque token of a position.
    fn token(&self, position: i64) -> String;
}
