//! Answers of writes: rendered by queries, found in the log, waited for with the projections.

use crate::answers::{Answers, Authorisation, HandOver, NEWEST, StoredReservationEvent};
use crate::problem::{Problem, kind};
use crate::query_router::render;
use crate::resource::{ItemResource, ReservationResource, Versioned, Viewer};
use crate::token::Tokens;
use async_trait::async_trait;
use gdmarket_domain::reservation::Stage;
use gdmarket_domain::{
    Decider, DecodeError, Item, ItemEvent, ItemNo, MarketEvent, Reservation, ReservationEvent,
    ReservationNo, StoredEvent,
};
use gdmarket_projections::{Applied, Queries};
use gdmarket_store::{RecordedEvent, Store, StoreError, StreamId};
use tokio::time::Instant;

pub(crate) struct LogAnswers {
    store: Store,
    queries: Queries,
    applied: Applied,
    tokens: Tokens,
}

impl LogAnswers {
    pub(crate) const fn new(
        store: Store,
        queries: Queries,
        applied: Applied,
        tokens: Tokens,
    ) -> Self {
        Self { store, queries, applied, tokens }
    }
}

/// What the store's trouble means to a caller.
pub(crate) fn store_problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable(_)
        | StoreError::Closed
        | StoreError::OtherLog(_)
        | StoreError::Storage { .. }
        | StoreError::Server { .. } => {
            Problem::new(&kind::UNAVAILABLE).with_cause(error.to_string())
        }
        StoreError::Newer | StoreError::TooNew { .. } => Problem::new(&kind::NEWER_PROGRAM),
        error => Problem::internal(error.to_string()),
    }
}

/// The events of [`HandOver`]; others needn't be read for it.
const HAND_OVERS: [&str; 2] = ["ItemRented", "ItemReturned"];

/// The name of an aggregate's streams.
pub(crate) const fn kind_of<A: Decider>() -> &'static str {
    A::TYPE
}

pub(crate) fn decoded(event: &RecordedEvent) -> Result<MarketEvent, Problem> {
    if let Some(reason) = event.damage_reason() {
        return Err(Problem::internal(format!("{event}: {reason}")));
    }
    let stored = StoredEvent {
        aggregate_type: &event.stream.kind,
        number: event.stream.number,
        event_type: &event.event_type,
        version: &event.event_version,
        payload: &event.payload,
    };
    stored.decode().map_err(|error| match error {
        DecodeError::Newer { .. } => {
            Problem::new(&kind::NEWER_PROGRAM).with_cause(error.to_string())
        }
        DecodeError::UnknownAggregate(_)
        | DecodeError::UnknownType(_)
        | DecodeError::Malformed { .. }
        | DecodeError::OtherStream { .. } => Problem::internal(error.to_string()),
    })
}

#[async_trait]
impl Answers for LogAnswers {
    async fn item_at(
        &self,
        no: ItemNo,
        version: i64,
        viewer: &Viewer,
    ) -> Result<Option<Versioned<ItemResource>>, Problem> {
        render::one(self.queries.item_at(no, version).await, |row| render::item(row, viewer))
    }

    fn new_item(
        &self,
        no: ItemNo,
        event: ItemEvent,
        viewer: &Viewer,
    ) -> Result<Option<Versioned<ItemResource>>, Problem> {
        render::one(self.queries.new_item(no, event), |row| render::item(row, viewer))
    }

    async fn reservation_at(
        &self,
        no: ReservationNo,
        version: i64,
        viewer: &Viewer,
    ) -> Result<Option<Versioned<ReservationResource>>, Problem> {
        let found = self.queries.reservation_at(no, version).await;
        render::one(found, |row| render::reservation(row, viewer))
    }

    async fn reservation_after(
        &self,
        no: ReservationNo,
        sequence: i64,
    ) -> Result<Vec<StoredReservationEvent>, Problem> {
        let stream = StreamId::new(kind_of::<Reservation>(), no.get());
        let events = self.store.log().stream(&stream, sequence).await;
        let events = events.map_err(|error| store_problem(&error))?;
        events.iter().map(reservation_event).collect()
    }

    async fn authorisation(
        &self,
        item_no: ItemNo,
        reservation_no: Option<ReservationNo>,
    ) -> Result<Authorisation, Problem> {
        let candidates = if let Some(no) = reservation_no {
            vec![no]
        } else {
            let item = self.queries.item_at(item_no, NEWEST).await?;
            let holds = item.map(|item| item.state.holds().to_vec()).unwrap_or_default();
            holds.into_iter().map(|hold| hold.reservation_no).collect()
        };
        let mut furthest = Authorisation::Absent;
        for no in candidates {
            let found = self.queries.reservation_at(no, NEWEST).await?;
            match found.as_ref().map(|found| found.state.stage()) {
                Some(Stage::Paid { .. }) => return Ok(Authorisation::UnderWay),
                Some(Stage::PaymentOpen { .. }) => furthest = Authorisation::Undecided,
                Some(_) | None => {}
            }
        }
        Ok(furthest)
    }

    async fn had_happened(
        &self,
        (item_no, version): (ItemNo, i64),
        reservation_no: ReservationNo,
        what: HandOver,
    ) -> Result<bool, Problem> {
        let stream = StreamId::new(kind_of::<Item>(), item_no.get());
        let events = self.store.log().stream(&stream, 0).await;
        let events = events.map_err(|error| store_problem(&error))?;
        let is_hand_over = |event: &&RecordedEvent| HAND_OVERS.contains(&event.event_type.as_str());
        let events = events.iter().take_while(|event| event.sequence <= version);
        for event in events.filter(is_hand_over) {
            let (happened, whose) = match decoded(event)? {
                MarketEvent::Item(ItemEvent::Rented { reservation_no, .. }) => {
                    (HandOver::Lent, reservation_no)
                }
                MarketEvent::Item(ItemEvent::Returned { reservation_no, .. }) => {
                    (HandOver::Returned, reservation_no)
                }
                _ => continue,
            };
            if (happened, whose) == (what, reservation_no) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn head(&self) -> i64 {
        *self.store.tail().head().borrow()
    }

    async fn moved_past(&self, position: i64, until: Instant) -> bool {
        let mut head = self.store.tail().head();
        let moved = head.wait_for(|head| *head > position);
        tokio::time::timeout_at(until, moved).await.is_ok_and(|moved| moved.is_ok())
    }

    async fn reacted(&self, position: i64, depth: u32, until: Instant) -> i64 {
        let reached = self.applied.wait_reactions(position, depth, until).await;
        reached.unwrap_or(position)
    }

    async fn viewed(&self, position: i64, until: Instant) -> bool {
        self.applied.wait_views(position, until).await
    }

    fn token(&self, position: i64) -> String {
        self.tokens.token(position)
    }
}

fn reservation_event(event: &RecordedEvent) -> Result<StoredReservationEvent, Problem> {
    match decoded(event)? {
        MarketEvent::Reservation(said) => Ok(StoredReservationEvent {
            sequence: event.sequence,
            position: event.position,
            event: ReservationEvent::clone(&said),
        }),
        MarketEvent::Item(_)
        | MarketEvent::Payment(_)
        | MarketEvent::Alarm(_)
        | MarketEvent::Hold(_) => Err(Problem::internal(format!("{event} in a reservation"))),
    }
}
