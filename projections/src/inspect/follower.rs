//! Follows the log as it grows, whichever process writes it, and returns the events of a subject. A follower
//! holds at most one page and occupies no queue, so that a slow one delays nothing else.

use crate::inspect::event_view::EventView;
use crate::queries::Queries;
use crate::queries::QueryError;
use cqrs_es::Aggregate as _;
use gdmarket_domain::{Alarm, Hold, Item, Payment, Reservation};
use gdmarket_store::{Identity, RecordedEvent, Store};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Events per query.
const PAGE: u32 = 100;

/// The subject of events; an absent field matches every event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Events of this item or its alarm, and events that name it.
    pub item_no: Option<i64>,
    /// Events of this reservation, and events that name it.
    pub reservation_no: Option<i64>,
    /// Events of this payment attempt, and events that name it.
    pub payment_no: Option<i64>,
    /// Events of this type.
    pub event_type: Option<&'static str>,
}

/// The numbers that an event names.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NamedNumbers {
    #[serde(rename = "itemNo")]
    item: Option<i64>,
    #[serde(rename = "reservationNo")]
    reservation: Option<i64>,
    #[serde(rename = "paymentNo")]
    payment: Option<i64>,
}

impl About {
    fn takes(&self, event: &RecordedEvent) -> bool {
        if self.event_type.is_some_and(|expected| expected != event.event_type) {
            return false;
        }
        if self.item_no.is_none() && self.reservation_no.is_none() && self.payment_no.is_none() {
            return true;
        }
        // A payload is one variant. A payload that can't be read names nothing.
        let payload: BTreeMap<Cow<'_, str>, NamedNumbers> =
            serde_json::from_str(&event.payload).unwrap_or_default();
        let named = payload.into_values().next().unwrap_or_default();
        let is_of = |requested: Option<i64>, named: Option<i64>, kinds: &[&str]| {
            requested.is_none_or(|requested| {
                let stream = &event.stream;
                let is_own = stream.number == requested && kinds.contains(&stream.kind.as_ref());
                is_own || named == Some(requested)
            })
        };
        is_of(self.item_no, named.item, &[Item::TYPE, Alarm::TYPE])
            && is_of(self.reservation_no, named.reservation, &[Reservation::TYPE, Hold::TYPE])
            && is_of(self.payment_no, named.payment, &[Payment::TYPE])
    }
}

/// A reader that follows the log from a position on.
#[derive(Debug)]
pub struct Follower {
    store: Store,
    about: About,
    position: i64,
}

impl Queries {
    /// Starts to follow at the current head.
    pub async fn follow(&self, about: About) -> Result<Follower, QueryError> {
        let store = self.store().clone();
        let position = store.log().head().await?;
        Ok(Follower { store, about, position })
    }
}

impl Follower {
    /// Goes back to a position. A position past the follower's belongs to another log, and is refused.
    pub fn go_back_to(&mut self, position: i64) -> bool {
        let is_known = position <= self.position;
        if is_known {
            self.position = position;
        }
        is_known
    }

    /// The position of the follower: every event up to here was returned, or doesn't match.
    pub const fn position(&self) -> i64 {
        self.position
    }

    /// The log that it follows.
    pub fn source(&self) -> Identity {
        *self.store.identity()
    }

    /// Waits for the next events; returns none at `until`.
    pub async fn next(&mut self, until: Instant) -> Result<Vec<EventView>, QueryError> {
        loop {
            if !self.store.tail().wait_past(self.position, until).await {
                return Ok(vec![]);
            }
            let events = self.store.tail().read_after(self.position, PAGE).await?;
            self.position = events.last().map_or(self.position, |event| event.position);
            let matching = events.iter().filter(|event| self.about.takes(event));
            let views: Vec<_> = matching.map(|event| EventView::from(&**event)).collect();
            if !views.is_empty() || Instant::now() >= until {
                return Ok(views);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_store::StreamId;

    fn event(stream: StreamId, event_type: &str, payload: &str) -> RecordedEvent {
        RecordedEvent {
            position: 1,
            stream,
            sequence: 1,
            event_type: event_type.to_owned(),
            event_version: "1".to_owned(),
            payload: payload.to_owned(),
            metadata: "{}".to_owned(),
            recorded_at: 0,
            damage: None,
        }
    }

    #[test]
    fn an_event_is_about_its_own_stream_and_what_it_names() {
        let payload = r#"{"ItemHeld":{"itemNo":1,"reservationNo":7}}"#;
        let held = event(StreamId::new("item", 1), "ItemHeld", payload);
        let broken = event(StreamId::new("reservation", 7), "Odd", "{oops");
        let item = |no| About { item_no: Some(no), ..About::default() };
        let reservation = |no| About { reservation_no: Some(no), ..About::default() };
        assert!(item(1).takes(&held) && reservation(7).takes(&held));
        assert!(!item(7).takes(&held) && !reservation(1).takes(&held) && !item(11).takes(&held));
        assert!(reservation(7).takes(&broken) && !reservation(1).takes(&broken));
        assert!(About::default().takes(&broken));
        let both = About { item_no: Some(1), reservation_no: Some(8), ..About::default() };
        assert!(!both.takes(&held));
        let typed = About { event_type: Some("ItemHeld"), ..reservation(7) };
        assert!(typed.takes(&held) && !typed.takes(&broken));
    }
}
