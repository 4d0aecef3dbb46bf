//! An event as people read it: its metadata in fields, its data without the name that they have on the
//! wire. Tools, traces and event streams show it; views and process managers decode instead.

use chrono::{DateTime, Utc};
use gdmarket_store::RecordedEvent;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// An event on the wire
// The texts of its fields are part of the OpenAPI document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StreamedEvent)]
pub struct EventView {
    /// Where it is in the log.
    pub position: i64,
    /// Whose event it is.
    #[schema(example = "item/1")]
    pub stream: String,
    /// Its number in the stream.
    pub sequence: i64,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(example = "ItemHeld")]
    pub event_type: String,
    /// The version of the event's shape.
    pub version: String,
    #[expect(missing_docs, reason = "the name says it, in the OpenAPI document too")]
    pub recorded_at: DateTime<Utc>,
    /// The request behind it; `None` where readers may not see it, and its fields are absent then.
    #[serde(flatten)]
    #[schema(ignore)]
    pub origin: Option<EventOrigin>,
    /// The position of the event that caused it; `null` for a person's request.
    #[schema(required)]
    pub caused_by: Option<i64>,
    /// What the event says.
    pub data: Value,
}

/// Which request an event came of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventOrigin {
    /// On whose behalf.
    #[schema(required)]
    pub actor: Option<String>,
    #[expect(missing_docs, reason = "the name says it, in the OpenAPI document too")]
    #[schema(required)]
    pub command_id: Option<String>,
    /// What all events of one request share.
    #[schema(required)]
    pub correlation_id: Option<String>,
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
            origin: Some(EventOrigin {
                actor: field("actor"),
                command_id: field("commandId"),
                correlation_id: field("correlationId"),
            }),
            caused_by: field("causationPosition").and_then(|position| position.parse().ok()),
            data: data(&event.payload),
        }
    }
}

impl EventView {
    /// The same event without its origin, as owners and renters may see it.
    #[must_use]
    pub fn without_origin(self) -> Self {
        Self { origin: None, ..self }
    }

    /// On whose behalf it was requested, if that is known.
    pub fn actor(&self) -> Option<&str> {
        self.origin.as_ref()?.actor.as_deref()
    }

    /// The command that it came of, if that is known.
    pub fn command_id(&self) -> Option<&str> {
        self.origin.as_ref()?.command_id.as_deref()
    }

    /// What all events of its request share, if that is known.
    pub fn correlation_id(&self) -> Option<&str> {
        self.origin.as_ref()?.correlation_id.as_deref()
    }

    /// Whether it is about this number of that kind, `itemNo` for example.
    pub fn names(&self, kind: &str, number: i64) -> bool {
        self.data.get(kind).and_then(Value::as_i64) == Some(number)
    }
}

/// What an event says, without the name of its variant.
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
        assert_eq!((event.caused_by, event.actor()), (Some(5), Some("owner:7")));
        assert!(event.names("itemNo", 1) && !event.names("itemNo", 2));
    }

    #[test]
    fn unreadable_data_is_shown_as_text() {
        assert_eq!(view("{oops", "nothing").data, json!("{oops"));
        assert_eq!(view("{oops", "nothing").actor(), None);
    }
}
