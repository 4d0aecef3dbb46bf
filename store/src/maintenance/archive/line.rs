//! One line of an archive: a JSON object with one key, which names the kind of the line.
//!
//! Payloads and metadata are written as they are stored in the log, byte for byte. Text that would break the line, or
//! that JSON would read back differently, is written as a string in a field of its own.

use super::manifest::Manifest;
use super::{ArchiveError, WITH_BOOKS};
use crate::log::{Receipt, ReceiptKind, RecordedEvent, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use uuid::Uuid;

/// The kinds of lines, in their order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ArchiveLine<'a> {
    Header(Header),
    #[serde(borrow)]
    Event(EventLine<'a>),
    #[serde(borrow)]
    Receipt(ReceiptLine<'a>),
    Number(NumberLine),
    Deadline(DeadlineLine),
    Checkpoint(CheckpointLine),
    Parked(ParkedLine),
    Waiting(WaitingLine),
    Dropped(DroppedLine),
    Book(BookLine),
    Person(PersonLine),
    #[serde(borrow)]
    Name(NameLine<'a>),
    Manifest(Manifest),
}

/// The first line: the format, and the log of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    /// The format of the file.
    pub format: String,
    /// The version of the format.
    pub version: u32,
    /// The log that was exported.
    pub log_id: Uuid,
    /// Its epoch.
    pub epoch: i64,
    /// How many events follow.
    pub events: u64,
    /// Whether names of persons are in it.
    pub personal_data: bool,
    /// Which program wrote it; for people.
    pub written_by: String,
}

/// An event.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EventLine<'a> {
    position: i64,
    #[serde(borrow)]
    aggregate: Cow<'a, str>,
    number: i64,
    sequence: i64,
    #[serde(borrow, rename = "type")]
    event_type: Cow<'a, str>,
    #[serde(borrow, rename = "version")]
    event_version: Cow<'a, str>,
    recorded_at: i64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    payload_text: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    metadata_text: Option<Cow<'a, str>>,
}

/// The outcome of a command.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReceiptLine<'a> {
    command_id: Uuid,
    #[serde(borrow)]
    fingerprint: Cow<'a, str>,
    #[serde(borrow)]
    aggregate: Cow<'a, str>,
    number: i64,
    first_sequence: i64,
    count: i64,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
}

/// The last number that was allocated of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NumberLine {
    pub(super) kind: String,
    pub(super) last: i64,
}

/// A deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeadlineLine {
    pub(super) manager: String,
    pub(super) key: String,
    pub(super) due_at: i64,
    pub(super) payload: String,
}

/// How far a subscription is, in which log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CheckpointLine {
    pub(super) subscription: String,
    pub(super) source: String,
    pub(super) epoch: i64,
    pub(super) position: i64,
}

/// A parked key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ParkedLine {
    pub(super) subscription: String,
    pub(super) key: String,
    pub(super) state: String,
    pub(super) reason: String,
    pub(super) since_position: i64,
    pub(super) since_time: i64,
    pub(super) attempts: i64,
    pub(super) next_try_at: i64,
}

/// An event that queues behind a parked key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitingLine {
    pub(super) subscription: String,
    pub(super) key: String,
    pub(super) position: i64,
}

/// An event that was dropped, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DroppedLine {
    pub(super) subscription: String,
    pub(super) key: String,
    pub(super) position: i64,
    pub(super) parked_for: String,
    pub(super) reason: String,
    pub(super) dropped_at: i64,
}

/// A record that is written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BookLine {
    pub(super) book: String,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) recorded_at: i64,
}

/// The name of a person from before names were stored with streams; none once it is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonLine {
    pub(super) id: i64,
    pub(super) name: Option<String>,
}

/// The name that came with a stream, and its person; no name once it is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NameLine<'a> {
    #[serde(borrow)]
    pub(super) aggregate: Cow<'a, str>,
    pub(super) number: i64,
    pub(super) person: Option<i64>,
    pub(super) name: Option<String>,
}

impl NameLine<'_> {
    pub(super) fn into_owned(self) -> NameLine<'static> {
        NameLine { aggregate: Cow::Owned(self.aggregate.into_owned()), ..self }
    }
}

impl Header {
    /// The manifest of this archive before a line of it was counted.
    pub(super) fn begin_manifest(&self) -> Manifest {
        let newer = (self.version >= WITH_BOOKS).then_some(0);
        let (log_id, epoch) = (self.log_id, self.epoch);
        Manifest { log_id, epoch, books: newer, names: newer, ..Manifest::default() }
    }
}

impl ArchiveLine<'_> {
    /// Counts the line in a manifest.
    pub(super) fn count_in(&self, manifest: &mut Manifest) {
        match self {
            ArchiveLine::Header(_) | ArchiveLine::Manifest(_) => {}
            ArchiveLine::Event(event) => {
                manifest.events += 1;
                if manifest.first_position == 0 {
                    manifest.first_position = event.position();
                }
                manifest.last_position = event.position();
            }
            ArchiveLine::Receipt(_) => manifest.receipts += 1,
            ArchiveLine::Number(_) => manifest.numbers += 1,
            ArchiveLine::Deadline(_) => manifest.deadlines += 1,
            ArchiveLine::Checkpoint(_) => manifest.checkpoints += 1,
            ArchiveLine::Parked(_) => manifest.parked += 1,
            ArchiveLine::Waiting(_) => manifest.waiting += 1,
            ArchiveLine::Dropped(_) => manifest.dropped += 1,
            ArchiveLine::Book(_) => manifest.books = manifest.books.map(|books| books + 1),
            ArchiveLine::Person(_) => manifest.persons += 1,
            ArchiveLine::Name(_) => manifest.names = manifest.names.map(|names| names + 1),
        }
    }

    /// Appends the line with its end.
    pub(super) fn write(&self, into: &mut Vec<u8>) -> Result<(), ArchiveError> {
        serde_json::to_writer(&mut *into, self).map_err(std::io::Error::from)?;
        into.push(b'\n');
        Ok(())
    }
}

/// JSON text as it is written inside a line, if reading it back gives the same bytes.
fn as_it_is(text: &str) -> Option<&RawValue> {
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    let same = raw.get() == text && text != "null" && !text.contains(['\n', '\r']);
    same.then_some(raw)
}

/// The one of the two ways that was taken.
fn either(raw: Option<&RawValue>, text: Option<Cow<'_, str>>) -> Option<String> {
    match (raw, text) {
        (Some(raw), None) => Some(raw.get().to_owned()),
        (None, Some(text)) => Some(text.into_owned()),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

impl<'a> EventLine<'a> {
    pub(super) fn new(event: &'a RecordedEvent) -> Self {
        let (payload, metadata) = (as_it_is(&event.payload), as_it_is(&event.metadata));
        let as_text = |raw: Option<&RawValue>, text: &'a str| raw.is_none().then_some(text.into());
        Self {
            position: event.position,
            aggregate: event.stream.kind.as_ref().into(),
            number: event.stream.number,
            sequence: event.sequence,
            event_type: event.event_type.as_str().into(),
            event_version: event.event_version.as_str().into(),
            recorded_at: event.recorded_at,
            payload,
            payload_text: as_text(payload, &event.payload),
            metadata,
            metadata_text: as_text(metadata, &event.metadata),
        }
    }

    pub(super) const fn position(&self) -> i64 {
        self.position
    }

    pub(super) fn into_event(self) -> Result<RecordedEvent, String> {
        let Some(payload) = either(self.payload, self.payload_text) else {
            return Err("it needs payload or payloadText, one of them".to_owned());
        };
        let Some(metadata) = either(self.metadata, self.metadata_text) else {
            return Err("it needs metadata or metadataText, one of them".to_owned());
        };
        Ok(RecordedEvent {
            position: self.position,
            stream: StreamId::new(self.aggregate.into_owned(), self.number),
            sequence: self.sequence,
            event_type: self.event_type.into_owned(),
            event_version: self.event_version.into_owned(),
            payload,
            metadata,
            recorded_at: self.recorded_at,
            damage: None,
        })
    }
}

/// The bytes of hexadecimal text. The format knows lower case only, so that every value is written in one way.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let is_lower_case = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    hex::decode(text).ok().filter(|_| is_lower_case)
}

impl<'a> ReceiptLine<'a> {
    pub(super) fn new(receipt: &'a Receipt) -> Self {
        Self {
            command_id: receipt.command_id,
            fingerprint: hex::encode(&receipt.fingerprint).into(),
            aggregate: receipt.stream.kind.as_ref().into(),
            number: receipt.stream.number,
            first_sequence: receipt.first_sequence,
            count: receipt.count,
            refusal: receipt.kind.refusal().map(Into::into),
        }
    }

    pub(super) fn into_receipt(self) -> Result<Receipt, String> {
        let fingerprint = bytes_of(&self.fingerprint);
        Ok(Receipt {
            command_id: self.command_id,
            fingerprint: fingerprint.ok_or("the fingerprint is not hexadecimal")?,
            stream: StreamId::new(self.aggregate.into_owned(), self.number),
            first_sequence: self.first_sequence,
            count: self.count,
            kind: self
                .refusal
                .map_or(ReceiptKind::Done, |code| ReceiptKind::Refused(code.into_owned())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(payload: &str) -> RecordedEvent {
        RecordedEvent {
            position: 7,
            stream: StreamId::new("counter", 1),
            sequence: 2,
            event_type: "Counted".to_owned(),
            event_version: "1".to_owned(),
            payload: payload.to_owned(),
            metadata: "{\"actor\":\"ü\\u0001\"}".to_owned(),
            recorded_at: -1,
            damage: None,
        }
    }

    #[test]
    fn event_is_read_byte_for_byte() {
        let odd = [
            "{}",
            "{ \"a\" :1.0}",
            "{\"a\":\n1}",
            " {}",
            "null",
            "not json",
            "",
            "\"\\u0041\"",
            "1e2",
            "\r",
        ];
        for payload in odd {
            let event = event(payload);
            let mut line = vec![];
            ArchiveLine::Event(EventLine::new(&event)).write(&mut line).unwrap();
            assert_eq!(line.split(|byte| *byte == b'\n').count(), 2, "{payload:?}");
            match serde_json::from_slice(&line).unwrap() {
                ArchiveLine::Event(read) => assert_eq!(read.into_event().unwrap(), event),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn hexadecimal_survives_a_round_trip() {
        assert_eq!(bytes_of(&hex::encode([0, 1, 0xab, 0xff])), Some(vec![0, 1, 0xab, 0xff]));
        for wrong in ["0", "0g", "AB", "ü"] {
            assert_eq!(bytes_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn event_without_payload_or_with_two_is_refused() {
        let line = |with: &str| {
            let text = format!(
                "{{\"position\":1,\"aggregate\":\"a\",\"number\":1,\"sequence\":1,\"type\":\"T\",\
                 \"version\":\"1\",\"recordedAt\":1,{with}\"metadata\":{{}}}}"
            );
            serde_json::from_str::<EventLine<'_>>(&text).unwrap().into_event()
        };
        assert!(line("\"payload\":{},").is_ok());
        assert!(line("").is_err());
        assert!(line("\"payload\":{},\"payloadText\":\"\",").is_err());
    }
}
