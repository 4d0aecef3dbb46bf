//! The trace of a request across aggregates: the requests of people and the events that followed, as a tree
//! of causes. The trace of a reservation is collected from the streams that the reservation names. The
//! trace of a correlation reads the whole log, since appends maintain no index for it.

mod traced_event;

pub use traced_event::TracedEvent;

use crate::engine::feed::decode;
use crate::inspect::event_view::EventView;
use crate::inspect::sagas::SagaKey;
use crate::queries::QueryError;
use crate::queries::{NEWEST, Queries};
use cqrs_es::Aggregate as _;
use gdmarket_domain::{
    Alarm, Hold, Item, ItemEvent, ItemNo, MarketEvent, Payment, PaymentNo, PersonId, Reservation,
    ReservationEvent, ReservationNo,
};
use gdmarket_store::{EventFilter, RecordedEvent, StreamId};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Events per query.
const PAGE: u32 = 500;
/// The most events of a trace: far more than a real one has, and still little memory.
const MOST: usize = 10_000;

/// A trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The events that people requested, in order, each with its consequences.
    pub events: Vec<TracedEvent>,
    /// Whether the trace is complete: it is cut after ten thousand events.
    pub is_complete: bool,
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

impl Queries {
    /// The trace of a reservation; `None` if there is no such reservation.
    pub async fn trace_reservation(
        &self,
        no: ReservationNo,
    ) -> Result<Option<ReservationTrace>, QueryError> {
        let mut collected = Collected::default();
        let mut named = NamedParties::default();
        let own = StreamId::new(Reservation::TYPE, no.get());
        self.collect(&mut collected, own, 0, |event| named.learn(event)).await?;
        let Some(first) = collected.events.first().map(|event| event.position) else {
            self.store().confirm_log().await?;
            return Ok(None);
        };
        let mut streams = vec![StreamId::new(Hold::TYPE, no.get())];
        streams.extend(named.payments.iter().map(|no| StreamId::new(Payment::TYPE, no.get())));
        for stream in streams {
            self.collect(&mut collected, stream, first, |_| true).await?;
        }
        for item in named.items.clone() {
            let stream = StreamId::new(Item::TYPE, item.get());
            let about = |event: &RecordedEvent| {
                let is_about = EventView::from(event).names("reservationNo", no.get());
                if is_about { named.learn(event) } else { false }
            };
            self.collect(&mut collected, stream, first, about).await?;
        }
        let owner_id = match (named.owner_id, named.items.first()) {
            (None, Some(item)) => {
                match self.item_at(*item, NEWEST).await {
                    Ok(item) => item.and_then(|item| item.state.owner_id()),
                    // An item that can't be read doesn't hide the reservation's own trace.
                    Err(QueryError::Broken(_)) => None,
                    Err(error) => return Err(error),
                }
            }
            (owner_id, _) => owner_id,
        };
        Ok(Some(ReservationTrace {
            renter_id: named.renter_id,
            owner_id,
            trace: collected.into_trace(),
        }))
    }

    /// The trace of an item's registration and deletion, with their alarms.
    pub async fn trace_announcement(&self, no: ItemNo) -> Result<Trace, QueryError> {
        let is_announced = |event: &RecordedEvent| {
            let decoded = decode(event.as_event_ref());
            decoded.map_or(true, |event| SagaKey::of(&event) == Some(SagaKey::Item(no)))
        };
        let mut collected = Collected::default();
        for kind in [Alarm::TYPE, Item::TYPE] {
            let stream = StreamId::new(kind, no.get());
            self.collect(&mut collected, stream, 0, is_announced).await?;
        }
        Ok(collected.into_trace())
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
        let correlation_id = Some(id.to_string());
        let filter = EventFilter { correlation_id, after, until, ..EventFilter::default() };
        let mut query = self.store().log().query(filter).await?;
        let mut collected = Collected::default();
        while let Some(events) = query.next(PAGE).await? {
            collected.take(&events);
            reached(query.reached());
            if collected.is_cut {
                break;
            }
        }
        Ok(collected.into_trace())
    }

    /// Collects the events of a stream that `is_relevant` accepts.
    async fn collect(
        &self,
        collected: &mut Collected,
        stream: StreamId,
        after: i64,
        mut is_relevant: impl FnMut(&RecordedEvent) -> bool + Send,
    ) -> Result<(), QueryError> {
        let filter = EventFilter { stream: Some(stream), after, ..EventFilter::default() };
        let mut query = self.store().log().query(filter).await?;
        while let Some(mut events) = query.next(PAGE).await? {
            events.retain(|event| is_relevant(event));
            collected.take(&events);
            if collected.is_cut {
                break;
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Collected {
    events: Vec<EventView>,
    is_cut: bool,
}

impl Collected {
    fn take(&mut self, events: &[RecordedEvent]) {
        let room = MOST.saturating_sub(self.events.len());
        self.is_cut |= events.len() > room;
        self.events.extend(events.iter().take(room).map(EventView::from));
    }

    fn into_trace(self) -> Trace {
        Trace { events: tree(self.events), is_complete: !self.is_cut }
    }
}

/// The people, items and payments that a reservation's events name.
#[derive(Debug, Default)]
struct NamedParties {
    renter_id: Option<PersonId>,
    owner_id: Option<PersonId>,
    items: BTreeSet<ItemNo>,
    payments: BTreeSet<PaymentNo>,
}

impl NamedParties {
    /// Notes the parties that an event names; always `true`, since an event that can't be read belongs to the trace, too.
    fn learn(&mut self, event: &RecordedEvent) -> bool {
        match decode(event.as_event_ref()) {
            Ok(MarketEvent::Reservation(event)) => self.learn_of_reservation(&event),
            Ok(MarketEvent::Item(ItemEvent::Held { owner_id, .. })) => {
                self.owner_id = self.owner_id.or(owner_id);
            }
            Ok(
                MarketEvent::Item(_)
                | MarketEvent::Payment(_)
                | MarketEvent::Alarm(_)
                | MarketEvent::Hold(_),
            )
            | Err(_) => {}
        }
        true
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others name no further party")]
    fn learn_of_reservation(&mut self, event: &ReservationEvent) {
        match event {
            ReservationEvent::Requested { item_no, renter_id, .. } => {
                self.items.insert(*item_no);
                self.renter_id = Some(*renter_id);
            }
            ReservationEvent::Reserved { owner_id, .. } => {
                self.owner_id = self.owner_id.or(*owner_id);
            }
            ReservationEvent::PaymentRequested { payment_no, .. }
            | ReservationEvent::LatePaymentRecorded { payment_no, .. } => {
                self.payments.insert(*payment_no);
            }
            _ => {}
        }
    }
}

/// Puts every event under the one that caused it. A cause outside the trace counts as none.
fn tree(events: Vec<EventView>) -> Vec<TracedEvent> {
    let known: BTreeSet<i64> = events.iter().map(|event| event.position).collect();
    let mut below: BTreeMap<Option<i64>, Vec<EventView>> = BTreeMap::new();
    for event in events {
        // A cause is always an earlier event; a cycle would never end.
        let cause =
            event.caused_by.filter(|cause| known.contains(cause) && *cause < event.position);
        below.entry(cause).or_default().push(event);
    }
    take_below(&mut below, None)
}

fn take_below(
    below: &mut BTreeMap<Option<i64>, Vec<EventView>>,
    cause: Option<i64>,
) -> Vec<TracedEvent> {
    let mut events = below.remove(&cause).unwrap_or_default();
    events.sort_by_key(|event| event.position);
    let traced = events.into_iter().map(|event| {
        let consequences = take_below(below, Some(event.position));
        TracedEvent { event, consequences }
    });
    traced.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use serde_json::Value;

    fn event(position: i64, caused_by: Option<i64>) -> EventView {
        EventView {
            position,
            stream: "reservation/1".to_owned(),
            sequence: position,
            event_type: String::new(),
            version: String::new(),
            recorded_at: DateTime::default(),
            origin: None,
            caused_by,
            data: Value::Null,
        }
    }

    fn shape(events: &[TracedEvent]) -> String {
        let parts =
            events.iter().map(|e| format!("{}({})", e.event.position, shape(&e.consequences)));
        parts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_event_is_below_its_cause_and_none_is_lost() {
        let events = vec![
            event(5, Some(3)),
            event(1, None),
            event(3, Some(1)),
            event(4, Some(1)),
            event(7, Some(99)),
            event(8, Some(8)),
        ];
        assert_eq!(shape(&tree(events)), "1(3(5()) 4()) 7() 8()");
    }
}
