//! A batch as JSON arrays: one parameter per table, whatever the batch's size.

use super::super::writer::{Fault, Outcome};
use crate::append::Append;
use crate::hex::hex;
use serde::Serialize;
use std::collections::BTreeMap;

fn json(rows: &impl Serialize) -> Outcome<String> {
    serde_json::to_string(rows).map_err(|error| Fault::Data(error.to_string()))
}

/// `[command id, fingerprint, kind, id, first sequence, count, refusal]`
pub(super) fn receipts(batch: &[&Append]) -> Outcome<String> {
    let row = |append: &&Append| {
        (
            append.command_id.simple().to_string(),
            hex(&append.fingerprint),
            append.stream.kind.to_string(),
            append.stream.number.to_string(),
            append.first_sequence(),
            append.count(),
            append.kind.refusal().map(str::to_owned),
        )
    };
    json(&batch.iter().map(row).collect::<Vec<_>>())
}

/// `[person id, name]`; of a person named twice the later name stands.
pub(super) fn persons(batch: &[&Append]) -> Outcome<String> {
    let names = batch.iter().flat_map(|append| &append.personal);
    let names = names.map(|person| (person.person_id, person.name.as_str()));
    json(&names.collect::<BTreeMap<_, _>>().into_iter().collect::<Vec<_>>())
}

/// `[kind, id, sequence, expected or 0, type, version, payload, metadata]`
pub(super) fn events(batch: &[&Append]) -> Outcome<String> {
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
pub(super) fn ids(batch: &[&Append]) -> Outcome<String> {
    json(&batch.iter().map(|append| append.command_id.simple().to_string()).collect::<Vec<_>>())
}

/// `[kind, id]`
pub(super) fn streams(batch: &[&Append]) -> Outcome<String> {
    let stream =
        |append: &&Append| (append.stream.kind.to_string(), append.stream.number.to_string());
    json(&batch.iter().map(stream).collect::<Vec<_>>())
}
