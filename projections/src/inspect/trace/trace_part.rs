//! The part of a trace that is in one log, read from that log.

use super::named_parties::NamedParties;
use super::trace_query::TraceQuery;
use crate::engine::feed::{Delivery, decode};
use crate::inspect::event_view::EventView;
use crate::inspect::log_page::LogPage;
use crate::inspect::sagas::SagaKey;
use crate::queries::{Queries, QueryError};
use cqrs_es::Aggregate as _;
use gdmarket_domain::{Alarm, Hold, Item, ItemNo, Payment, Reservation, ReservationNo, Services};
use gdmarket_store::{EventFilter, RecordedEvent, StreamId};
use std::sync::Arc;

/// Events per query.
const PAGE: u32 = 500;
/// The most events of a trace: far more than a real one has, and still little memory.
pub(super) const MAX_EVENTS: usize = 10_000;
/// The most bytes of a part that is sent to another service.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The events of a trace in one log, in the order in which they were found.
#[derive(Debug, Default)]
pub(super) struct TracePart {
    pub(super) events: Vec<Arc<RecordedEvent>>,
    /// Whether there are more than a trace has.
    pub(super) is_cut: bool,
}

impl TracePart {
    fn take(&mut self, events: Vec<RecordedEvent>) {
        let room = MAX_EVENTS.saturating_sub(self.events.len());
        self.is_cut |= events.len() > room;
        self.events.extend(events.into_iter().take(room).map(Arc::new));
    }
}

/// The bounds of a search for a correlation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchRange {
    /// The position that it begins after.
    pub after: i64,
    /// The last position; the end of the log if there is none.
    pub until: Option<i64>,
}

impl Queries {
    /// The events of the own log, which is that of these services, that belong to a trace.
    pub async fn trace_page(
        &self,
        services: Services,
        query: &TraceQuery,
    ) -> Result<LogPage, QueryError> {
        let part = match query {
            TraceQuery::Correlation(id) => {
                self.correlation_part(*id, SearchRange::default(), &mut |_| ()).await?
            }
            TraceQuery::Reservation { no, items, payments } => {
                let (items, payments) = (items.clone(), payments.clone());
                let mut named = NamedParties { items, payments, ..NamedParties::default() };
                self.reservation_part(*no, &mut named).await?
            }
            TraceQuery::Announcement(no) => self.announcement_part(*no).await?,
        };
        let TracePart { events, mut is_cut } = part;
        let (mut deliveries, mut bytes) = (vec![], 0);
        for event in events {
            bytes += event.payload.len() + event.metadata.len();
            if bytes > MAX_BYTES {
                is_cut = true;
                break;
            }
            deliveries.push(Delivery { previous: 0, event });
        }
        let (source, head) = (*self.store().identity(), self.store().log().head().await?);
        Ok(LogPage { source, services, head, deliveries, is_cut })
    }

    /// The events of a reservation, of its holds, and of the items and payments that are named. Its own events name
    /// further ones.
    pub(super) async fn reservation_part(
        &self,
        no: ReservationNo,
        named: &mut NamedParties,
    ) -> Result<TracePart, QueryError> {
        let mut part = TracePart::default();
        let own = StreamId::new(Reservation::TYPE, no.get());
        self.collect(&mut part, own, 0, |event| named.learn(event)).await?;
        // No event of another stream is about a reservation before its request, if that is in this log.
        let first = part.events.first().map_or(0, |event| event.position);
        let mut streams = vec![StreamId::new(Hold::TYPE, no.get())];
        streams.extend(named.payments.iter().map(|no| StreamId::new(Payment::TYPE, no.get())));
        for stream in streams {
            self.collect(&mut part, stream, first, |_| true).await?;
        }
        for item in named.items.clone() {
            let stream = StreamId::new(Item::TYPE, item.get());
            let about = |event: &RecordedEvent| {
                let is_about = EventView::from(event).names("reservationNo", no.get());
                if is_about { named.learn(event) } else { false }
            };
            self.collect(&mut part, stream, first, about).await?;
        }
        Ok(part)
    }

    /// The events of an item's registration and deletion, and of their alarms.
    pub(super) async fn announcement_part(&self, no: ItemNo) -> Result<TracePart, QueryError> {
        let is_announced = |event: &RecordedEvent| {
            let decoded = decode(event.as_event_ref());
            decoded.map_or(true, |event| SagaKey::of(&event) == Some(SagaKey::Item(no)))
        };
        let mut part = TracePart::default();
        for kind in [Alarm::TYPE, Item::TYPE] {
            let stream = StreamId::new(kind, no.get());
            self.collect(&mut part, stream, 0, is_announced).await?;
        }
        Ok(part)
    }

    /// The events with a correlation. It reads all of them, and calls `reached` with the position that it has read up
    /// to.
    pub(super) async fn correlation_part(
        &self,
        id: uuid::Uuid,
        range: SearchRange,
        reached: &mut (dyn FnMut(i64) + Send),
    ) -> Result<TracePart, QueryError> {
        let SearchRange { after, until } = range;
        let correlation_id = Some(id.to_string());
        let filter = EventFilter { correlation_id, after, until, ..EventFilter::default() };
        let mut query = self.store().log().query(filter).await?;
        let mut part = TracePart::default();
        while let Some(events) = query.next(PAGE).await? {
            part.take(events);
            reached(query.reached());
            if part.is_cut {
                break;
            }
        }
        Ok(part)
    }

    /// Collects the events of a stream that `is_relevant` accepts.
    async fn collect(
        &self,
        part: &mut TracePart,
        stream: StreamId,
        after: i64,
        mut is_relevant: impl FnMut(&RecordedEvent) -> bool + Send,
    ) -> Result<(), QueryError> {
        let filter = EventFilter { stream: Some(stream), after, ..EventFilter::default() };
        let mut query = self.store().log().query(filter).await?;
        while let Some(mut events) = query.next(PAGE).await? {
            events.retain(|event| is_relevant(event));
            part.take(events);
            if part.is_cut {
                break;
            }
        }
        Ok(())
    }
}
