//! A batch as JSON arrays: one parameter per table, whatever the batch's size.

use super::super::writer::{WriteFault, WriteResult};
use crate::log::append::Append;
use crate::log::event::StreamId;
use serde::Serialize;

fn json(rows: &impl Serialize) -> WriteResult<String> {
    serde_json::to_string(rows).map_err(|error| WriteFault::Data(error.to_string()))
}

/// `[command id, fingerprint, kind, id, first sequence, count, refusal]`
pub(super) fn receipts(batch: &[&Append]) -> WriteResult<String> {
    let row = |append: &&Append| {
        (
            append.command_id.simple().to_string(),
            hex::encode(&append.fingerprint),
            append.stream.kind.to_string(),
            append.stream.number.to_string(),
            append.first_sequence(),
            append.count(),
            append.kind.refusal().map(str::to_owned),
        )
    };
    json(&batch.iter().map(row).collect::<Vec<_>>())
}

/// `[kind, id, person id, name]`
pub(super) fn names(batch: &[&Append]) -> WriteResult<String> {
    let row = |append: &&Append| {
        let personal = append.personal.as_ref()?;
        let StreamId { kind, number } = &append.stream;
        let person = (personal.person_id(), personal.name().map(str::to_owned));
        Some((kind.to_string(), number.to_string(), person.0, person.1))
    };
    json(&batch.iter().filter_map(row).collect::<Vec<_>>())
}

/// `[kind, id, sequence, expected or 0, type, version, payload, metadata]`
pub(super) fn events(batch: &[&Append]) -> WriteResult<String> {
    let rows = batch.iter().flat_map(|append| {
        let number = append.stream.number.to_string();
        append.events.iter().zip(append.first_sequence()..).map(move |(event, sequence)| {
            let first = sequence == append.first_sequence();
            (
                append.stream.kind.as_ref(),
                number.clone(),
                sequence,
                if first { append.expected } else { 0 },
                event.event_type.as_str(),
                event.event_version.as_str(),
                event.payload.as_str(),
                append.metadata.as_str(),
            )
        })
    });
    json(&rows.collect::<Vec<_>>())
}

/// Command ids in hexadecimal.
pub(super) fn ids(batch: &[&Append]) -> WriteResult<String> {
    json(&batch.iter().map(|append| append.command_id.simple().to_string()).collect::<Vec<_>>())
}

/// `[kind, id]`
pub(super) fn streams(batch: &[&Append]) -> WriteResult<String> {
    let stream =
        |append: &&Append| (append.stream.kind.to_string(), append.stream.number.to_string());
    json(&batch.iter().map(stream).collect::<Vec<_>>())
}
