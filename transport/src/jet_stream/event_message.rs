//! One event as a message. The payload is the event's line of a page of the log, so that both ways give a consumer the
//! same event; the headers say what the relay and people with NATS's own tools need to know without reading it.

use async_nats::HeaderMap;
use gdmarket_projections::{Delivery, Identity, LogPage};
use serde::Deserialize;
use std::str::FromStr;

const LOG: &str = "Gdmarket-Log";
const EPOCH: &str = "Gdmarket-Epoch";
const POSITION: &str = "Gdmarket-Position";
const PREVIOUS: &str = "Gdmarket-Previous";
const EVENT_TYPE: &str = "Gdmarket-Event-Type";
const EVENT_VERSION: &str = "Gdmarket-Event-Version";
const CORRELATION: &str = "Gdmarket-Correlation-Id";
const CAUSATION: &str = "Gdmarket-Causation";
const TRACEPARENT: &str = "traceparent";

/// Where an event is: what the headers of its message say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MessageStamp {
    pub(super) log: Identity,
    pub(super) position: i64,
    pub(super) previous: i64,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct EventMetadata {
    correlation_id: Option<String>,
    causation_source: Option<String>,
    causation_position: Option<String>,
    traceparent: Option<String>,
}

/// The headers of an event's message.
pub(super) fn headers(log: Identity, delivery: &Delivery) -> HeaderMap {
    let event = &delivery.event;
    let metadata: EventMetadata = serde_json::from_str(&event.metadata).unwrap_or_default();
    let causation = metadata.causation_source.zip(metadata.causation_position);
    let causation = causation.map(|(source, position)| format!("{source}/{position}"));
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (LOG, Some(log.log_id.to_string())),
        (EPOCH, Some(log.epoch.to_string())),
        (POSITION, Some(event.position.to_string())),
        (PREVIOUS, Some(delivery.previous.to_string())),
        (EVENT_TYPE, Some(event.event_type.clone())),
        (EVENT_VERSION, Some(event.event_version.clone())),
        (CORRELATION, metadata.correlation_id),
        (CAUSATION, causation),
        (TRACEPARENT, metadata.traceparent),
    ] {
        // A row that was written by hand may hold anything.
        if let Some(value) = value.filter(|value| value.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            headers.insert(name, value.as_str());
        }
    }
    headers
}

/// The payload of an event's message.
pub(super) fn payload(delivery: &Delivery) -> String {
    LogPage::event_line(delivery)
}

impl MessageStamp {
    /// The place that the headers of a message name; `None` if no relay wrote them.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        Some(Self {
            log: Identity { log_id: header(headers, LOG)?, epoch: header(headers, EPOCH)? },
            position: header(headers, POSITION)?,
            previous: header(headers, PREVIOUS)?,
        })
    }
}

fn header<T: FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.as_str().parse().ok()
}

/// The event of a message, whose headers and payload must agree.
pub(super) fn parse(place: MessageStamp, payload: &[u8]) -> Result<Delivery, String> {
    let delivery = LogPage::parse_event_line(payload).map_err(|fault| fault.to_string())?;
    let (position, previous) = (delivery.event.position, delivery.previous);
    if (position, previous) != (place.position, place.previous) {
        return Err(format!("its headers say {place:?}, its payload {position} after {previous}"));
    }
    if position <= previous || previous < 0 {
        return Err(format!("event {position} can't follow {previous}"));
    }
    Ok(delivery)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_projections::RecordedEvent;
    use std::sync::Arc;
    use uuid::Uuid;

    fn delivery(metadata: &str, event_type: &str) -> Delivery {
        let line = serde_json::json!({
            "position": 9, "previous": 7, "aggregateType": "item", "number": 3, "sequence": 2,
            "eventType": event_type, "eventVersion": "1.0", "payload": "{\"a\":1}",
            "metadata": metadata, "recordedAt": 5,
        });
        LogPage::parse_event_line(line.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn message_gives_the_event_that_it_was_made_of() {
        let log = Identity { log_id: Uuid::from_u128(7), epoch: 3 };
        let metadata = r#"{"correlationId":"c","traceparent":"00-a-b-01","causationSource":"s",
            "causationPosition":"4"}"#;
        let sent = delivery(metadata, "ItemRegistered");
        let headers = headers(log, &sent);
        let place = MessageStamp::of(&headers).unwrap();
        assert_eq!(place, MessageStamp { log, position: 9, previous: 7 });
        for (name, value) in [
            (CORRELATION, "c"),
            (CAUSATION, "s/4"),
            (TRACEPARENT, "00-a-b-01"),
            (EVENT_VERSION, "1.0"),
        ] {
            assert_eq!(headers.get(name).unwrap().as_str(), value);
        }
        let read = parse(place, payload(&sent).as_bytes()).unwrap();
        assert_eq!((read.event, read.previous), (sent.event, 7));
    }

    #[test]
    fn row_that_was_written_by_hand_can_be_sent() {
        let log = Identity { log_id: Uuid::from_u128(7), epoch: 3 };
        let headers = headers(log, &delivery("no JSON", "two\r\nlines"));
        assert!(MessageStamp::of(&headers).is_some() && headers.get(EVENT_TYPE).is_none());
    }

    #[test]
    fn message_that_contradicts_itself_is_refused() {
        let log = Identity { log_id: Uuid::from_u128(7), epoch: 3 };
        let sent = delivery("{}", "ItemRegistered");
        let line = payload(&sent);
        for (position, previous) in [(8, 7), (9, 6)] {
            assert!(parse(MessageStamp { log, position, previous }, line.as_bytes()).is_err());
        }
        let backwards = Delivery {
            previous: 9,
            event: Arc::new(RecordedEvent { position: 9, ..(*sent.event).clone() }),
        };
        let place = MessageStamp { log, position: 9, previous: 9 };
        assert!(parse(place, payload(&backwards).as_bytes()).is_err());
        assert!(parse(place, b"{}").is_err());
        assert!(MessageStamp::of(&HeaderMap::new()).is_none());
    }
}
