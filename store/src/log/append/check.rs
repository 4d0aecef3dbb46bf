//! Refuses data that one of the engines can't store, before it joins a batch: one command's bad data must never cost
//! the other commands of its batch a second round trip.

use super::{Append, AppendError};
use crate::log::personal_data::PersonalData;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// Most bytes of one event's payload.
pub const MAX_PAYLOAD: usize = 1024 * 1024;
/// Most bytes of a command's metadata.
pub const MAX_METADATA: usize = 16 * 1024;
/// Most events of one command.
pub const MAX_EVENTS: usize = 100;
/// Far beyond any stream, and far from where counting on would overflow.
const MAX_SEQUENCE: i64 = i64::MAX / 2;
/// Most bytes of all payloads of one command.
const MAX_COMMAND: usize = 4 * MAX_PAYLOAD;
/// Most bytes of a name, a type or a fingerprint.
const MAX_WORD: usize = 1024;

impl Append {
    /// Refuses data that one of the engines can't store.
    pub(crate) fn check(&self) -> Result<(), AppendError> {
        self.fault().map_or(Ok(()), |fault| Err(AppendError::Rejected(fault)))
    }

    fn fault(&self) -> Option<String> {
        if !(0..=MAX_SEQUENCE).contains(&self.expected) {
            return Some(format!("sequence {} is out of range", self.expected));
        }
        if self.events.len() > MAX_EVENTS {
            return Some(format!("{} events, at most {MAX_EVENTS} go together", self.events.len()));
        }
        if self.events.iter().map(|event| event.payload.len()).sum::<usize>() > MAX_COMMAND {
            return Some(format!("the events together are over {MAX_COMMAND} bytes"));
        }
        let code = self.kind.refusal().map(|code| ("refusal code", code));
        let words = self.events.iter().flat_map(|event| {
            [("event type", event.event_type.as_str()), ("version", event.event_version.as_str())]
        });
        let name = self.personal.as_ref().and_then(PersonalData::name).map(|name| ("name", name));
        let stream = [("aggregate type", self.stream.kind.as_ref())];
        stream
            .into_iter()
            .chain(code)
            .chain(words)
            .chain(name)
            .find_map(|(what, word)| word_fault(what, word))
            .or_else(|| self.metadata_fault())
            .or_else(|| self.events.iter().find_map(|event| payload_fault(&event.payload)))
            .or_else(|| {
                let long = self.fingerprint.len() > MAX_WORD;
                long.then(|| "the fingerprint is too long".to_owned())
            })
    }

    fn metadata_fault(&self) -> Option<String> {
        if self.metadata.len() > MAX_METADATA {
            return Some(format!("metadata of over {MAX_METADATA} bytes"));
        }
        if has_nul(&self.metadata) {
            return Some("NUL in the metadata".to_owned());
        }
        let error = serde_json::from_str::<FlatMap>(&self.metadata).err()?;
        Some(format!("metadata is no flat map of strings: {error}"))
    }
}

fn word_fault(what: &str, word: &str) -> Option<String> {
    if word.len() > MAX_WORD {
        return Some(format!("{what} of over {MAX_WORD} bytes"));
    }
    word.contains('\0').then(|| format!("NUL in the {what}"))
}

/// A JSON map of strings to strings, read without keeping anything.
struct FlatMap;

impl<'de> Deserialize<'de> for FlatMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FlatMap)
    }
}

impl<'de> Visitor<'de> for FlatMap {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self, M::Error> {
        while map.next_entry::<AnyText, AnyText>()?.is_some() {}
        Ok(self)
    }
}

struct AnyText;

impl<'de> Deserialize<'de> for AnyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AnyText)
    }
}

impl Visitor<'_> for AnyText {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, _text: &str) -> Result<Self, E> {
        Ok(self)
    }
}

fn payload_fault(payload: &str) -> Option<String> {
    if payload.len() > MAX_PAYLOAD {
        return Some(format!("a payload of over {MAX_PAYLOAD} bytes"));
    }
    if has_nul(payload) {
        return Some("NUL in a payload".to_owned());
    }
    let error = serde_json::from_str::<IgnoredAny>(payload).err()?;
    Some(format!("a payload is no JSON: {error}"))
}

/// Whether JSON text holds NUL, as itself or as its escape. A backslash that is escaped itself
/// begins no escape: `"\\u0000"` is six harmless characters.
fn has_nul(json: &str) -> bool {
    if json.contains('\0') {
        return true;
    }
    let mut rest = json;
    while let Some((_, after)) = rest.split_once('\\') {
        if after.starts_with("u0000") {
            return true;
        }
        // One character is escaped, whichever it is.
        let mut characters = after.chars();
        characters.next();
        rest = characters.as_str();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::event::{NewEvent, StreamId};
    use crate::log::receipt::ReceiptKind;
    use uuid::Uuid;

    fn append(payload: &str, metadata: &str) -> Append {
        Append {
            command_id: Uuid::nil(),
            fingerprint: Vec::new(),
            stream: StreamId::new("counter", 1),
            expected: 0,
            events: vec![NewEvent {
                event_type: "Counted".to_owned(),
                event_version: "1".to_owned(),
                payload: payload.to_owned(),
            }],
            metadata: metadata.to_owned(),
            kind: ReceiptKind::Done,
            personal: None,
        }
    }

    #[test]
    fn nul_is_refused_however_it_is_written() {
        for payload in ["\"\\u0000\"", "\"a\\\\\\u0000\"", "\"\0\""] {
            assert!(append(payload, "{}").check().is_err(), "{payload:?}");
        }
        for payload in ["\"\\\\u0000\"", "\"\\n\\\"\\u0001\"", "\"ü\\ü\"", "{}"] {
            let fault = append(payload, "{}").fault();
            assert!(!fault.is_some_and(|fault| fault.contains("NUL")), "{payload:?}");
        }
    }

    #[test]
    fn invalid_json_and_oversized_payloads_are_refused() {
        assert_eq!(append("{}", "{\"a\":\"b\\n\"}").check(), Ok(()));
        let long = format!("\"{}\"", "x".repeat(MAX_PAYLOAD));
        for (payload, metadata) in
            [("{", "{}"), ("{}", "[]"), ("{}", "{\"a\":1}"), (long.as_str(), "{}"), ("", "{}")]
        {
            assert!(append(payload, metadata).check().is_err(), "{metadata}");
        }
        let metadata = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_METADATA));
        assert!(append("{}", &metadata).check().is_err());
        let mut many = append("{}", "{}");
        many.events = vec![many.events[0].clone(); MAX_EVENTS + 1];
        assert!(many.check().is_err());
    }
}
