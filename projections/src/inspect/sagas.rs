//! The open sagas of the market: how far each rental, registration and deletion has come, what it waits for, and what
//! keeps it from continuing. They are read from the log, the parked keys and the deadlines; no view is involved.
//!
//! A set of services limits what is known: their logs are read, and a step that only another log shows is left out.
//! With all services in one log it is everything.

mod announcement;
mod next_step;
mod obstacles;
mod open_saga;
mod rental;
mod saga_key;
mod saga_row;
mod scan;
mod step;

pub use obstacles::ParkedReaction;
pub use saga_key::{SagaKey, SagaKeyError};
pub use saga_row::SagaRow;
pub use scan::UnreadableEvents;
pub use step::{AwaitedParty, SagaStep};

use crate::engine::feed::decode;
use crate::queries::QueryError;
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate as _;
use gdmarket_domain::{Item, ItemNo, MarketEvent, Payment, PaymentNo, Service, Services};
use gdmarket_store::{EventFilter, RecordedEvent, Store, StreamId};
use obstacles::Obstacles;
use open_saga::OpenSaga;
use rental::Rental;
use saga_row::{RowContext, SagaShown, rows_of};
use scan::SagaScan;
use std::collections::BTreeMap;

/// Events per query.
const PAGE: u32 = 1_000;

/// The sagas of one store.
#[derive(Debug, Clone)]
pub struct Sagas {
    store: Store,
    seen: Services,
}

/// All open steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSagas {
    /// The steps, the one that waits longest first.
    pub rows: Vec<SagaRow>,
    /// Events that can't be read, if there are any.
    pub unreadable: Option<UnreadableEvents>,
    /// How many parked keys of process managers belong to no saga.
    pub parked_elsewhere: usize,
}

/// One saga, open or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSaga {
    /// Its state; `None` where its log isn't read.
    pub state: Option<&'static str>,
    /// The item, where it is known.
    pub item_no: Option<ItemNo>,
    /// Its open steps, the one that waits longest first; none if it is done.
    pub rows: Vec<SagaRow>,
    /// Everything that is parked for it.
    pub parked: Vec<ParkedReaction>,
}

impl Sagas {
    /// The sagas of a store whose log is that of these services.
    pub const fn new(store: Store, seen: Services) -> Self {
        Self { store, seen }
    }

    /// The services whose logs are read.
    pub const fn seen(&self) -> Services {
        self.seen
    }

    /// All open steps. It reads the whole log, and calls `reached` with the position that it has read up to.
    pub async fn open(
        &self,
        reached: &mut (dyn FnMut(i64) + Send),
    ) -> Result<OpenSagas, QueryError> {
        let mut scan = SagaScan::new(self.seen);
        let mut query = self.store.log().query(EventFilter::default()).await?;
        while let Some(events) = query.next(PAGE).await? {
            for event in &events {
                scan.take(event);
            }
            reached(query.reached());
        }
        let (mut sagas, unreadable) = scan.finish();
        self.read_partial(&mut sagas).await?;
        let obstacles = Obstacles::read(&self.store, None).await?;
        let mut parked = self.parked_by_saga(&sagas, &obstacles).await?;
        let assigned: usize = parked.values().map(Vec::len).sum();
        let parked_elsewhere = obstacles.parked.len() - assigned;
        for key in parked.keys() {
            if !sagas.contains_key(key) {
                sagas.insert(*key, self.saga(*key).await?);
            }
        }
        let context = self.context(&obstacles).await?;
        let mut rows = vec![];
        for (key, saga) in &sagas {
            let parts = saga.parts(self.seen);
            let parked = parked.remove(key).unwrap_or_default();
            rows.extend(rows_of(SagaShown { parts: &parts, steps: saga.steps(), parked }, context));
        }
        rows.sort_by(|a, b| (a.since, &a.saga, a.step).cmp(&(b.since, &b.saga, b.step)));
        Ok(OpenSagas { rows, unreadable, parked_elsewhere })
    }

    /// One saga; `None` if there is no event of it and nothing is parked for it.
    pub async fn find(&self, key: SagaKey) -> Result<Option<FoundSaga>, QueryError> {
        let saga = self.saga(key).await?;
        let obstacles = Obstacles::read(&self.store, Some(&keys_of(key, &saga))).await?;
        let parts = saga.parts(self.seen);
        if parts.state.is_none() && !saga.is_open() && obstacles.parked.is_empty() {
            self.store.confirm_log().await?;
            return Ok(None);
        }
        let parked = obstacles.parked.clone();
        let shown = SagaShown { parts: &parts, steps: saga.steps(), parked: parked.clone() };
        let mut rows = rows_of(shown, self.context(&obstacles).await?);
        rows.sort_by_key(|row| row.since);
        Ok(Some(FoundSaga { state: parts.state, item_no: parts.item_no, rows, parked }))
    }

    async fn context<'a>(&self, obstacles: &'a Obstacles) -> Result<RowContext<'a>, QueryError> {
        let now: DateTime<Utc> =
            DateTime::from_timestamp_micros(self.store.log().now().await?).unwrap_or_default();
        Ok(RowContext { obstacles, now, seen: self.seen })
    }

    /// Reads the rentals again of which only later events are known.
    async fn read_partial(
        &self,
        sagas: &mut BTreeMap<SagaKey, OpenSaga>,
    ) -> Result<(), QueryError> {
        if !self.seen.contains(Service::Reservation) {
            return Ok(());
        }
        let is_partial = |saga: &OpenSaga| saga.rental().is_some_and(Rental::is_partial);
        let partial: Vec<SagaKey> =
            sagas.iter().filter(|(_, saga)| is_partial(saga)).map(|(key, _)| *key).collect();
        for key in partial {
            sagas.insert(key, self.saga(key).await?);
        }
        Ok(())
    }

    /// What is parked, by saga.
    async fn parked_by_saga(
        &self,
        open: &BTreeMap<SagaKey, OpenSaga>,
        obstacles: &Obstacles,
    ) -> Result<BTreeMap<SagaKey, Vec<ParkedReaction>>, QueryError> {
        let mut found: BTreeMap<SagaKey, Vec<ParkedReaction>> = BTreeMap::new();
        let paying: BTreeMap<PaymentNo, SagaKey> = open
            .iter()
            .filter_map(|(key, saga)| Some((key, saga.rental()?)))
            .flat_map(|(key, rental)| rental.payments().map(move |no| (no, *key)))
            .collect();
        for parked in &obstacles.parked {
            let key = match parked.payment_no() {
                None => SagaKey::of_stream(&parked.parked.key),
                Some(no) => match paying.get(&no) {
                    Some(key) => Some(*key),
                    None => self.saga_at(parked.parked.since_position).await?,
                },
            };
            if let Some(key) = key {
                found.entry(key).or_default().push(parked.clone());
            }
        }
        Ok(found)
    }

    /// The saga of the event at a position.
    async fn saga_at(&self, position: i64) -> Result<Option<SagaKey>, QueryError> {
        let event = self.store.log().at(position).await?;
        let decoded = event.and_then(|event| decode(event.as_event_ref()).ok());
        Ok(decoded.as_ref().and_then(SagaKey::of))
    }

    /// One saga, from its streams.
    async fn saga(&self, key: SagaKey) -> Result<OpenSaga, QueryError> {
        let mut events = vec![];
        if self.seen.contains(Service::Reservation) {
            for stream in key.streams() {
                events.extend(self.events_about(Some(stream), key).await?);
            }
            for stream in self.named_streams(key, &events) {
                events.extend(self.events_about(Some(stream), key).await?);
            }
        } else {
            // Only the reservation's own events name its item and its payments.
            events = self.events_about(None, key).await?;
        }
        Ok(self.folded(key, events))
    }

    /// The further streams that the events of a rental name.
    fn named_streams(&self, key: SagaKey, events: &[SagaEvent]) -> Vec<StreamId> {
        let saga = self.folded(key, events.to_vec());
        let Some(rental) = saga.rental() else { return vec![] };
        let payments = rental.payments().map(|no| StreamId::new(Payment::TYPE, no.get()));
        let item = rental.item_no().map(|no| StreamId::new(Item::TYPE, no.get()));
        payments.chain(item).collect()
    }

    fn folded(&self, key: SagaKey, mut events: Vec<SagaEvent>) -> OpenSaga {
        events.sort_by_key(|event| event.position);
        let mut saga = OpenSaga::new(key);
        for SagaEvent { event, recorded_at, .. } in events {
            saga.apply(event, recorded_at, self.seen);
        }
        saga
    }

    /// The events that belong to a saga, of one stream or of the whole log; one that can't be read is left out.
    async fn events_about(
        &self,
        stream: Option<StreamId>,
        key: SagaKey,
    ) -> Result<Vec<SagaEvent>, QueryError> {
        let filter = EventFilter { stream, ..EventFilter::default() };
        let mut query = self.store.log().query(filter).await?;
        let mut found = vec![];
        while let Some(events) = query.next(PAGE).await? {
            found.extend(events.iter().filter_map(|event| SagaEvent::about(event, key)));
        }
        Ok(found)
    }
}

/// An event of a saga.
#[derive(Clone)]
struct SagaEvent {
    position: i64,
    recorded_at: i64,
    event: MarketEvent,
}

impl SagaEvent {
    fn about(event: &RecordedEvent, key: SagaKey) -> Option<Self> {
        let decoded =
            decode(event.as_event_ref()).ok().filter(|of| SagaKey::of(of) == Some(key))?;
        let RecordedEvent { position, recorded_at, .. } = *event;
        Some(Self { position, recorded_at, event: decoded })
    }
}

/// The keys under which process managers park what belongs to a saga.
fn keys_of(key: SagaKey, saga: &OpenSaga) -> Vec<String> {
    let payments = saga.rental().into_iter().flat_map(Rental::payments);
    let payments = payments.map(|no| StreamId::new(Payment::TYPE, no.get()));
    key.streams().into_iter().chain(payments).map(|stream| stream.to_string()).collect()
}
