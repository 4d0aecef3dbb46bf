//! Queries of the views: typed rows, filtered and paged, with joined names and alarms; stale rows are marked.
//!
//! Answers of writes come from [`Queries::item_at`] and its siblings: the view's own fold over the stream, up
//! to the version of the write, so they never depend on the progress of views.

mod alarms;
mod history;
mod items;
mod payments;
pub(crate) mod query_error;
mod repair;
mod reservations;
mod select;
mod versions;

pub use crate::engine::view_table::Stale;
pub use history::StreamEvent;
pub use query_error::QueryError;
pub use versions::NEWEST;

use crate::engine::feed::Feeds;
use crate::engine::view_table::ViewTable;
use crate::views::alarms::{AlarmBody, Alarms};
use crate::views::items::{ItemBody, ItemInfo, ItemInfoBody};
use crate::views::payments::{PaymentBody, Payments};
use crate::views::reservations::{ReservationBody, Reservations};
use cqrs_es::Aggregate as _;
use gdmarket_domain::{Alarm, Item, Payment, PersonId, Reservation, ReservationNo};
use gdmarket_store::Store;
use repair::ViewReader;
use std::collections::HashMap;
use std::sync::Arc;

/// One resource: its body, and its aggregate, which knows the permitted actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<B, A> {
    /// The stream's number.
    pub number: i64,
    /// The version of the aggregate: its `ETag`.
    pub version: i64,
    /// Since when and why the row is stale, while its stream has later events.
    pub stale: Option<Stale>,
    /// The shown body.
    pub body: B,
    /// The aggregate's state at this version, for its `permits` and `decide`.
    pub state: A,
}

/// Selects members of a collection; an absent field matches every member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The renter.
    pub customer_id: Option<i64>,
    /// The item's owner.
    pub owner_id: Option<i64>,
    /// The item.
    pub item_no: Option<i64>,
    /// `itemStatus` of items, `alarmStatus` of alarms, `status` of the others.
    pub status: Option<String>,
}

/// Selects a page of a collection, ascending by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// The page begins after this number; 0 for the first page.
    pub after: i64,
    /// The most members of the page.
    pub limit: u32,
}

/// A page of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The members.
    pub rows: Vec<T>,
    /// The [`PageRequest::after`] of the next page, if there is one.
    pub next: Option<i64>,
}

/// An item as `/items` shows it.
pub type FoundItem = Found<ItemBody, Item>;
/// An item as `/itemInfoes` shows it.
pub type FoundItemInfo = Found<ItemInfoBody, Item>;
/// A reservation.
pub type FoundReservation = Found<ReservationBody, Reservation>;
/// A payment attempt.
pub type FoundPayment = Found<PaymentBody, Payment>;
/// An alarm.
pub type FoundAlarm = Found<AlarmBody, Alarm>;

/// Queries of the views; cheap to clone.
#[derive(Debug, Clone)]
pub struct Queries(Arc<Inner>);

struct Inner {
    store: Store,
    /// The logs that views are fed by.
    feeds: Feeds,
    items: ViewTable<ItemInfo>,
    reservations: ViewTable<Reservations>,
    payments: ViewTable<Payments>,
    alarms: ViewTable<Alarms>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queries").finish_non_exhaustive()
    }
}

/// The answer to a query.
type Answer<T> = Result<T, QueryError>;

impl Queries {
    /// Whether the log has an event at this position. The log is read only for a position that this process
    /// doesn't know of yet.
    pub async fn reaches(&self, position: i64) -> Result<bool, QueryError> {
        let known = *self.0.store.tail().head().borrow();
        Ok(position <= known || position <= self.0.store.log().head().await?)
    }

    /// Queries the views of this store, whether a loop maintains them or not.
    pub fn new(store: Store) -> Self {
        let feeds = Feeds::of_own_log(&store);
        Self::with_feeds(store, feeds)
    }

    /// As [`Queries::new`], with the logs of other services that views are fed by.
    pub(crate) fn with_feeds(store: Store, feeds: Feeds) -> Self {
        Self(Arc::new(Inner {
            store,
            feeds,
            items: ViewTable::served(),
            reservations: ViewTable::served(),
            payments: ViewTable::served(),
            alarms: ViewTable::served(),
        }))
    }

    fn reader(&self) -> ViewReader<'_> {
        ViewReader { store: &self.0.store, feeds: &self.0.feeds }
    }

    /// The store, for the questions that no view answers.
    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// The renters' names of these reservations, by number; an erased name is absent.
    async fn names(
        &self,
        reservations: impl IntoIterator<Item = (ReservationNo, PersonId)>,
    ) -> Answer<HashMap<i64, String>> {
        let each = reservations.into_iter().map(|(no, renter)| (no.get(), renter.get()));
        let each: Vec<(i64, i64)> = each.collect();
        Ok(self.0.store.personal_data().of_streams(Reservation::TYPE, &each).await?)
    }
}

impl Filter {
    /// The members of this item.
    pub fn of_item(item_no: i64) -> Self {
        Self { item_no: Some(item_no), ..Self::default() }
    }
}
