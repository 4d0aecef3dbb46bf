//! One command's share of the log: what it appends, what it is answered, and what is refused
//! before it may join a batch, so that one command's bad data never costs its batch mates.

use crate::event::{NewEvent, StreamId};
use crate::personal_data::PersonalData;
use crate::receipt::{Receipt, ReceiptKind};
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use uuid::Uuid;

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

/// What one command writes: its events, its receipt, and names that stay outside the log. All of
/// it or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Which command this is; it has one effect, however often it is sent.
    pub command_id: Uuid,
    /// What the command asked for; kept in the receipt so that a reused id is noticed.
    pub fingerprint: Vec<u8>,
    /// The stream it appends to.
    pub stream: StreamId,
    /// The sequence of the stream's last event as the decider saw it, 0 for none.
    pub expected: i64,
    /// The events, in order. Without events only the receipt is written.
    pub events: Vec<NewEvent>,
    /// A flat JSON map of strings, the same for each event.
    pub metadata: String,
    /// What the receipt says.
    pub kind: ReceiptKind,
    /// Names that belong to it; they replace what was known of these persons.
    pub personal: Vec<PersonalData>,
}

/// An append that stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The sequence of its first event; without events, the version that was decided on.
    pub first_sequence: i64,
    /// How many events.
    pub count: i64,
    /// The position of its last event, 0 without events.
    pub position: i64,
}

/// Why an append isn't in the log, or isn't known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The stream has gone on since it was read.
    #[error("the stream has gone on")]
    Conflict,
    /// This command was done before; here is how it ended.
    #[error("the command was done before")]
    Duplicate(Receipt),
    /// It can't be stored, and never will.
    #[error("it can't be stored: {0}")]
    Rejected(String),
    /// The stream doesn't have the event it expects as the last one.
    #[error("the stream's predecessor is missing")]
    Gap,
    /// It may be done or not; the receipts can't be read to find out.
    #[error("nobody knows whether it was done: {0}")]
    Unknown(String),
    /// It was not done; the same again may succeed.
    #[error("the database is not available: {0}")]
    Unavailable(String),
}

impl Append {
    /// The sequence its first event gets.
    pub(crate) const fn first_sequence(&self) -> i64 {
        if self.events.is_empty() { self.expected } else { self.expected + 1 }
    }

    pub(crate) fn count(&self) -> i64 {
        i64::try_from(self.events.len()).unwrap_or(i64::MAX)
    }

    /// The answer when its last event has got this position.
    pub(crate) fn appended(&self, position: i64) -> Appended {
        Appended { first_sequence: self.first_sequence(), count: self.count(), position }
    }

    /// The receipt it leaves.
    pub(crate) fn receipt(&self) -> Receipt {
        Receipt {
            command_id: self.command_id,
            fingerprint: self.fingerprint.clone(),
            stream: self.stream.clone(),
            first_sequence: self.first_sequence(),
            count: self.count(),
            kind: self.kind.clone(),
        }
    }

    /// What it weighs in a batch.
    pub(crate) fn bytes(&self) -> usize {
        let events = self.events.iter();
        events.map(|event| event.payload.len() + self.metadata.len() + 128).sum::<usize>() + 256
    }

    /// Refuses what one engine or the other can't store.
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
        let code = match &self.kind {
            ReceiptKind::Done => None,
            ReceiptKind::Refused(code) => Some(("refusal code", code.as_str())),
        };
        let words = self.events.iter().flat_map(|event| {
            [("event type", event.event_type.as_str()), ("version", event.event_version.as_str())]
        });
        let names = self.personal.iter().map(|person| ("name", person.name.as_str()));
        let stream = [("aggregate type", self.stream.kind.as_ref())];
        stream
            .into_iter()
            .chain(code)
            .chain(words)
            .chain(names)
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
        let read = serde_json::from_str::<BTreeMap<&str, &str>>(&self.metadata).err();
        let read = read.and_then(|_| {
            // Escapes can't be borrowed; only then is it worth copying.
            serde_json::from_str::<BTreeMap<String, String>>(&self.metadata).err()
        });
        read.map(|error| format!("metadata is no flat map of strings: {error}"))
    }
}

fn word_fault(what: &str, word: &str) -> Option<String> {
    if word.len() > MAX_WORD {
        return Some(format!("{what} of over {MAX_WORD} bytes"));
    }
    word.contains('\0').then(|| format!("NUL in the {what}"))
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
            personal: Vec::new(),
        }
    }

    #[test]
    fn nul_is_refused_in_whatever_dress() {
        for payload in ["\"\\u0000\"", "\"a\\\\\\u0000\"", "\"\0\""] {
            assert!(append(payload, "{}").check().is_err(), "{payload:?}");
        }
        for payload in ["\"\\\\u0000\"", "\"\\n\\\"\\u0001\"", "\"ü\\ü\"", "{}"] {
            let fault = append(payload, "{}").fault();
            assert!(!fault.is_some_and(|fault| fault.contains("NUL")), "{payload:?}");
        }
    }

    #[test]
    fn what_is_no_json_or_too_big_is_refused() {
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
