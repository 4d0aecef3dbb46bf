//! What an archive may bring in: the names and actors that the interface takes, by the same rules.

use gdmarket_domain::{Actor, checked_name};
use gdmarket_store::{Entry, RecordedEvent};
use serde_json::{Map, Value};

/// The field of an event that holds a name.
const ITEM_NAME: &str = "itemName";

/// Says which field of an entry the interface would have refused, and why.
pub(super) fn accept(entry: &Entry<'_>) -> Result<(), String> {
    match entry {
        Entry::Name(name) => name_fault("name", name),
        Entry::Event(event) => actor_fault(event).and_then(|()| item_name_fault(event)),
    }
}

fn name_fault(field: &str, name: &str) -> Result<(), String> {
    checked_name(name).map(drop).map_err(|error| format!("{field}: {error}"))
}

/// Metadata that can't be read has no actor; the tools show it as it is.
fn actor_fault(event: &RecordedEvent) -> Result<(), String> {
    let metadata = serde_json::from_str::<Map<String, Value>>(&event.metadata).unwrap_or_default();
    let Some(actor) = metadata.get("actor").and_then(Value::as_str) else { return Ok(()) };
    let is_process = actor.strip_prefix("process:").is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    });
    if is_process {
        return Ok(());
    }
    actor.parse::<Actor>().map(drop).map_err(|error| format!("metadata.actor: {error}"))
}

fn item_name_fault(event: &RecordedEvent) -> Result<(), String> {
    if !event.payload.contains(ITEM_NAME) {
        return Ok(());
    }
    let payload = serde_json::from_str::<Map<String, Value>>(&event.payload).unwrap_or_default();
    let mut said = payload.iter().filter_map(|(event, data)| Some((event, data.get(ITEM_NAME)?)));
    said.try_for_each(|(event, name)| {
        let name = name.as_str().unwrap_or_default();
        if name.is_empty() {
            Ok(())
        } else {
            name_fault(&format!("payload.{event}.{ITEM_NAME}"), name)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_store::StreamId;

    fn event(payload: &str, metadata: &str) -> RecordedEvent {
        RecordedEvent {
            position: 1,
            stream: StreamId::new("item", 1),
            sequence: 1,
            event_type: "ItemRegistered".to_owned(),
            event_version: "1".to_owned(),
            payload: payload.to_owned(),
            metadata: metadata.to_owned(),
            recorded_at: 0,
            damage: None,
        }
    }

    #[test]
    fn what_the_interface_refuses_is_named_by_its_field() {
        let named = |name: &str| format!("{{\"ItemRegistered\":{{\"itemName\":\"{name}\"}}}}");
        for (payload, metadata, field) in [
            (named("Camera"), "{\"actor\":\"owner:7\"}", None),
            (named("Camera"), "{\"actor\":\"process:alarm_saga\"}", None),
            (named("Camera"), "{}", None),
            ("not JSON".to_owned(), "not JSON", None),
            ("{\"ItemChanged\":{\"itemName\":null}}".to_owned(), "{}", None),
            (named("a\\u001b[31m"), "{}", Some("payload.ItemRegistered.itemName: ")),
            (named("a\\u202eb"), "{}", Some("payload.ItemRegistered.itemName: ")),
            (named(&"a".repeat(101)), "{}", Some("payload.ItemRegistered.itemName: ")),
            (named("Camera"), "{\"actor\":\"operator:\\u001b\"}", Some("metadata.actor: ")),
            (named("Camera"), "{\"actor\":\"process:\\u001b\"}", Some("metadata.actor: ")),
            (named("Camera"), "{\"actor\":\"root\"}", Some("metadata.actor: ")),
        ] {
            let fault = accept(&Entry::Event(&event(&payload, metadata))).err();
            let starts =
                fault.as_ref().zip(field).is_some_and(|(fault, field)| fault.starts_with(field));
            assert_eq!(starts, field.is_some(), "{payload} {metadata}: {fault:?}");
            assert_eq!(fault.is_some(), field.is_some(), "{payload} {metadata}: {fault:?}");
        }
        assert!(accept(&Entry::Name("김")).is_ok());
        assert!(accept(&Entry::Name("a\nb")).is_err_and(|fault| fault.starts_with("name: ")));
    }
}
