//! Gathers a reservation's story: its own stream, its refused hold, its payments, and what its item's
//! stream says about it.

use super::answers::{decoded, kind_of, store_problem};
use crate::problem::Problem;
use crate::story::{Stories, StoryEvent};
use async_trait::async_trait;
use chrono::DateTime;
use gdmarket_domain::{
    Hold, Item, ItemNo, MarketEvent, Payment, PaymentNo, Reservation, ReservationEvent,
    ReservationNo,
};
use gdmarket_store::{RecordedEvent, Store, StreamId};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct LogStories {
    store: Store,
}

impl LogStories {
    pub(super) const fn new(store: Store) -> Self {
        Self { store }
    }

    async fn stream(&self, kind: &'static str, number: i64) -> Result<Vec<RecordedEvent>, Problem> {
        let events = self.store.log().stream(&StreamId::new(kind, number), 0).await;
        events.map_err(|error| store_problem(&error))
    }
}

#[async_trait]
impl Stories for LogStories {
    async fn of_reservation(&self, no: ReservationNo) -> Result<Vec<StoryEvent>, Problem> {
        let own = self.stream(kind_of::<Reservation>(), no.get()).await?;
        let (items, payments) = partners(&own)?;
        let mut events = own;
        events.extend(self.stream(kind_of::<Hold>(), no.get()).await?);
        for payment in payments {
            events.extend(self.stream(kind_of::<Payment>(), payment.get()).await?);
        }
        for item in items {
            let of_item = self.stream(kind_of::<Item>(), item.get()).await?;
            events.extend(of_item.into_iter().filter(|event| names(event, no)));
        }
        Ok(events.iter().map(story_event).collect())
    }
}

/// The items and payments that a reservation's events name.
fn partners(events: &[RecordedEvent]) -> Result<(BTreeSet<ItemNo>, BTreeSet<PaymentNo>), Problem> {
    let (mut items, mut payments) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        let MarketEvent::Reservation(event) = decoded(event)? else { continue };
        match event {
            ReservationEvent::Requested { item_no, .. } => items.insert(item_no),
            ReservationEvent::PaymentRequested { payment_no, .. }
            | ReservationEvent::LatePaymentRecorded { payment_no, .. } => {
                payments.insert(payment_no)
            }
            _ => false,
        };
    }
    Ok((items, payments))
}

/// What an event says, without the name that its variant has on the wire.
fn data(event: &RecordedEvent) -> Value {
    let payload: Value = serde_json::from_str(&event.payload).unwrap_or_default();
    match payload {
        Value::Object(variants) => {
            variants.into_iter().next().map_or(Value::Null, |(_, data)| data)
        }
        other => other,
    }
}

/// Whether an item's event is about this reservation.
fn names(event: &RecordedEvent, no: ReservationNo) -> bool {
    data(event).get("reservationNo").and_then(Value::as_i64) == Some(no.get())
}

fn story_event(event: &RecordedEvent) -> StoryEvent {
    let metadata: BTreeMap<String, String> =
        serde_json::from_str::<Map<String, Value>>(&event.metadata)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())))
            .collect();
    let said = |key: &str| metadata.get(key).cloned();
    StoryEvent {
        position: event.position,
        stream: event.stream.to_string(),
        sequence: event.sequence,
        event_type: event.event_type.clone(),
        version: event.event_version.clone(),
        recorded_at: DateTime::from_timestamp_micros(event.recorded_at).unwrap_or_default(),
        actor: said("actor"),
        command_id: said("commandId"),
        correlation_id: said("correlationId"),
        caused_by: said("causationPosition").and_then(|position| position.parse().ok()),
        data: data(event),
        consequences: vec![],
    }
}
