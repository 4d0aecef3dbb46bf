//! An event as people read it: its metadata in fields, its data without the name of the variant. Tools,
//! traces and event streams use it; views and process managers decode events instead.

use chrono::{DateTime, Utc};
use gdmarket_store::RecordedEvent;
use serde::Serialize;
use serde_json::{Map, Value};

/// The data of an event, and its metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    /// Its position in the log.
    pub position: i64,
    /// Its stream: `reservation/1`.
    pub stream: String,
    /// Its number in the stream.
    pub sequence: i64,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of the event's shape.
    pub version: String,
    /// When it was recorded, by the database's clock.
    pub recorded_at: DateTime<Utc>,
    /// The actor of the command.
    pub actor: Option<String>,
    /// The id of the command.
    pub command_id: Option<String>,
    /// The id that all events of one request share.
    pub correlation_id: Option<String>,
    /// The position of the event that caused it; `None` for a person's request.
    pub caused_by: Option<i64>,
    /// Its data; the payload as text if it can't be read.
    pub data: Value,
}

impl From<&RecordedEvent> for EventView {
    fn from(event: &RecordedEvent) -> Self {
        let metadata: Map<String, Value> =
            serde_json::from_str(&event.metadata).unwrap_or_default();
        let field = |key: &str| metadata.get(key).and_then(Value::as_str).map(str::to_owned);
        Self {
            position: event.position,
            stream: event
                .damage
                .as_ref()
                .and_then(|damage| damage.foreign.clone())
                .unwrap_or_else(|| event.stream.to_string()),
            sequence: event.sequence,
            event_type: event.event_type.clone(),
            version: event.event_version.clone(),
            recorded_at: DateTime::from_timestamp_micros(event.recorded_at).unwrap_or_default(),
            actor: field("actor"),
            command_id: field("commandId"),
            correlation_id: field("correlationId"),
            caused_by: field("causationPosition").and_then(|position| position.parse().ok()),
            data: data(&event.payload),
        }
    }
}

impl EventView {
    /// Whether its data has this number in a field, `itemNo` for example.
    pub fn names(&self, kind: &str, number: i64) -> bool {
        self.data.get(kind).and_then(Value::as_i64) == Some(number)
    }
}

/// The data of an event, without the name of the variant.
fn data(payload: &str) -> Value {
    match serde_json::from_str(payload) {
        Ok(Value::Object(variants)) if variants.len() == 1 => {
            variants.into_iter().next().map_or(Value::Null, |(_, data)| data)
        }
        Ok(other) => other,
        Err(_) => Value::String(payload.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_store::StreamId;
    use serde_json::json;

    fn view(payload: &str, metadata: &str) -> EventView {
        EventView::from(&RecordedEvent {
            position: 7,
            stream: StreamId::new("item", 1),
            sequence: 2,
            event_type: "ItemDeleted".to_owned(),
            event_version: "1".to_owned(),
            payload: payload.to_owned(),
            metadata: metadata.to_owned(),
            recorded_at: 1_700_000_000_000_000,
            damage: None,
        })
    }

    #[test]
    fn data_is_shown_without_its_wrapping_and_the_cause_as_a_number() {
        let event = view(
            r#"{"ItemDeleted":{"itemNo":1}}"#,
            r#"{"actor":"owner:7","causationPosition":"5","commandId":"c"}"#,
        );
        assert_eq!(event.data, json!({"itemNo": 1}));
        assert_eq!((event.caused_by, event.actor.as_deref()), (Some(5), Some("owner:7")));
        assert!(event.names("itemNo", 1) && !event.names("itemNo", 2));
    }

    #[test]
    fn unreadable_data_is_shown_as_text() {
        assert_eq!(view("{oops", "nothing").data, json!("{oops"));
        assert_eq!(view("{oops", "nothing").actor, None);
    }
}
