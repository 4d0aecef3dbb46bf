//! The read facade: typed rows, filtered and paged, names and alarms joined, staleness told.
//!
//! Answers of writes are rendered from [`Queries::item_at`] and its like: the same fold as the view's,
//! over the stream up to the version that the write came to, so they never depend on how far views are.

use crate::alarms::AlarmBody;
use crate::error::QueryError;
use crate::item_info::{Calendar, ItemBody, ItemInfoBody};
use crate::payments::PaymentBody;
use crate::reservations::ReservationBody;
use chrono::{DateTime, NaiveDate, Utc};
use gdmarket_domain::{Alarm, Item, ItemNo, Payment, PaymentNo, Reservation, ReservationNo};

/// One resource: what is told of it, and its aggregate to ask what may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<B, A> {
    /// The stream's number.
    pub number: i64,
    /// The version of the aggregate: its ETag.
    pub version: i64,
    /// Since when and why the row stands still while its stream goes on.
    pub stale: Option<Stale>,
    /// What is told.
    pub body: B,
    /// The aggregate's state at this version: ask its `permits` and `decide`.
    pub state: A,
}

/// A row that couldn't follow its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// When the event that couldn't be taken in was recorded.
    pub since: DateTime<Utc>,
    /// Why it couldn't.
    pub reason: String,
}

/// Which members of a collection are asked for; what is absent doesn't matter.
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

/// Which part of a collection is asked for, ascending by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Numbers above this one; 0 from the start.
    pub after: i64,
    /// At most so many.
    pub limit: u32,
}

/// A part of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The members.
    pub rows: Vec<T>,
    /// What [`PageRequest::after`] is for the next part, if there is one.
    pub next: Option<i64>,
}

/// An item as `/items` tells it.
pub type FoundItem = Found<ItemBody, Item>;
/// An item as `/itemInfoes` tells it.
pub type FoundItemInfo = Found<ItemInfoBody, Item>;
/// A reservation.
pub type FoundReservation = Found<ReservationBody, Reservation>;
/// A payment attempt.
pub type FoundPayment = Found<PaymentBody, Payment>;
/// An alarm.
pub type FoundAlarm = Found<AlarmBody, Alarm>;

/// Answers from the views; cheap to clone.
#[derive(Debug, Clone)]
pub struct Queries {}

type Answer<T> = Result<T, QueryError>;

// SIGNATURES ONLY for now; bodies follow.
impl Queries {
    /// An item on the market.
    pub async fn item(&self, _no: ItemNo) -> Answer<Option<FoundItem>> {
        Err(soon())
    }
    /// An item as of a version of its stream, also if deleted by it.
    pub async fn item_at(&self, _no: ItemNo, _version: i64) -> Answer<Option<FoundItem>> {
        Err(soon())
    }
    /// Items on the market.
    pub async fn items(&self, _f: &Filter, _p: PageRequest) -> Answer<Page<FoundItem>> {
        Err(soon())
    }
    /// The integrated view of an item.
    pub async fn item_info(&self, _no: ItemNo) -> Answer<Option<FoundItemInfo>> {
        Err(soon())
    }
    /// The integrated view of items.
    pub async fn item_infos(&self, _f: &Filter, _p: PageRequest) -> Answer<Page<FoundItemInfo>> {
        Err(soon())
    }
    /// Which days of an item are taken.
    pub async fn calendar(
        &self,
        _no: ItemNo,
        _from: Option<NaiveDate>,
        _to: Option<NaiveDate>,
    ) -> Answer<Option<Found<Calendar, Item>>> {
        Err(soon())
    }
    /// A reservation.
    pub async fn reservation(&self, _no: ReservationNo) -> Answer<Option<FoundReservation>> {
        Err(soon())
    }
    /// A reservation as of a version of its stream; `i64::MAX` is the newest, straight from the log.
    pub async fn reservation_at(
        &self,
        _no: ReservationNo,
        _version: i64,
    ) -> Answer<Option<FoundReservation>> {
        Err(soon())
    }
    /// Reservations.
    pub async fn reservations(
        &self,
        _f: &Filter,
        _p: PageRequest,
    ) -> Answer<Page<FoundReservation>> {
        Err(soon())
    }
    /// A payment attempt.
    pub async fn payment(&self, _no: PaymentNo) -> Answer<Option<FoundPayment>> {
        Err(soon())
    }
    /// A payment attempt as of a version of its stream.
    pub async fn payment_at(&self, _no: PaymentNo, _version: i64) -> Answer<Option<FoundPayment>> {
        Err(soon())
    }
    /// Payment attempts.
    pub async fn payments(&self, _f: &Filter, _p: PageRequest) -> Answer<Page<FoundPayment>> {
        Err(soon())
    }
    /// An alarm, by its item's number.
    pub async fn alarm(&self, _no: ItemNo) -> Answer<Option<FoundAlarm>> {
        Err(soon())
    }
    /// Alarms.
    pub async fn alarms(&self, _f: &Filter, _p: PageRequest) -> Answer<Page<FoundAlarm>> {
        Err(soon())
    }
}

fn soon() -> QueryError {
    QueryError::Unavailable("not built yet".to_owned())
}
