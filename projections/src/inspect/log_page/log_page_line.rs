//! One event of a page, as a line of JSON.

use crate::engine::feed::Delivery;
use gdmarket_store::{Damage, MAX_METADATA, MAX_PAYLOAD, RecordedEvent, StreamId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// One event. Payload and metadata are texts inside the JSON, so that every byte of them arrives, also where they are
/// no JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogPageLine<'a> {
    position: i64,
    previous: i64,
    aggregate_type: Cow<'a, str>,
    /// 0 for a row that is of no stream.
    number: i64,
    sequence: i64,
    event_type: Cow<'a, str>,
    event_version: Cow<'a, str>,
    payload: Cow<'a, str>,
    metadata: Cow<'a, str>,
    /// Microseconds since 1970.
    recorded_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    damage: Option<DamageNote>,
}

/// Why the row of an event can't be read.
#[derive(Serialize, Deserialize)]
struct DamageNote {
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    foreign: Option<String>,
}

impl<'a> LogPageLine<'a> {
    pub(super) fn of(delivery: &'a Delivery) -> Self {
        let event = delivery.event.as_ref();
        let damage = event.damage.as_deref().map(|Damage { reason, foreign }| DamageNote {
            reason: reason.clone(),
            foreign: foreign.clone(),
        });
        // Written by hand; such a line could be longer than any reader accepts, for ever.
        let size = event.payload.len();
        let is_too_long = size > MAX_PAYLOAD;
        let too_long = || DamageNote {
            reason: format!("{size} bytes, more than the {MAX_PAYLOAD} of an event"),
            foreign: None,
        };
        Self {
            position: event.position,
            previous: delivery.previous,
            aggregate_type: Cow::Borrowed(&event.stream.kind),
            number: event.stream.number,
            sequence: event.sequence,
            event_type: Cow::Borrowed(&event.event_type),
            event_version: Cow::Borrowed(&event.event_version),
            payload: Cow::Borrowed(if is_too_long { "" } else { &event.payload }),
            metadata: Cow::Borrowed(if event.metadata.len() > MAX_METADATA {
                ""
            } else {
                &event.metadata
            }),
            recorded_at: event.recorded_at,
            damage: damage.or_else(|| is_too_long.then(too_long)),
        }
    }

    pub(super) fn into_delivery(self) -> Delivery {
        let damage = self.damage.map(|DamageNote { reason, foreign }| Damage { reason, foreign });
        let event = RecordedEvent {
            position: self.position,
            stream: StreamId::new(self.aggregate_type.into_owned(), self.number),
            sequence: self.sequence,
            event_type: self.event_type.into_owned(),
            event_version: self.event_version.into_owned(),
            payload: self.payload.into_owned(),
            metadata: self.metadata.into_owned(),
            recorded_at: self.recorded_at,
            damage: damage.map(Box::new),
        };
        Delivery { previous: self.previous, event: Arc::new(event) }
    }
}
