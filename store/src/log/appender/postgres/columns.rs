//! A batch as arrays, one per column: whatever its size, it is the same prepared statement.

use crate::log::append::Append;
use crate::log::personal_data::PersonalData;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use std::collections::BTreeMap;

/// Receipts go in order of command ids, since two transactions that insert the same two ids in
/// opposite order would wait for each other. Events go in the order of the batch.
///
/// A command's first event looks for its predecessor; where there is none, its sequence becomes NULL, which the table
/// refuses: the checked append finds out which command it was. The clock is read once.
const APPEND: &str = "\
    WITH receipt AS (
        INSERT INTO receipts (command_id, fingerprint, aggregate_type, aggregate_id,
                              first_sequence, event_count, refusal)
        SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::text[],
                             $5::bigint[], $6::bigint[], $7::text[]) AS c (command_id)
        ORDER BY c.command_id
    ), name AS (
        INSERT INTO personal_names (aggregate_type, aggregate_id, person_id, name)
        SELECT * FROM unnest($8::text[], $9::text[], $10::bigint[], $11::text[]) AS n (kind, id)
        ORDER BY n.kind, n.id
        ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET name = excluded.name
    )
    INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version,
                        payload, metadata, recorded_at)
    SELECT e.kind, e.id,
           CASE WHEN e.expected = 0 OR (
               SELECT 1 FROM events p WHERE p.aggregate_type = e.kind
                   AND p.aggregate_id = e.id AND p.sequence = e.expected
           ) = 1 THEN e.sequence END,
           e.type, e.version, e.payload::json, e.metadata::json,
           (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
    FROM unnest($12::text[], $13::text[], $14::bigint[], $15::bigint[], $16::text[],
                $17::text[], $18::text[], $19::text[])
        WITH ORDINALITY AS e (kind, id, sequence, expected, type, version, payload, metadata, ord)
    ORDER BY e.ord
    RETURNING position";

/// The arrays, borrowed from the batch.
#[derive(Default)]
pub(super) struct Columns<'a> {
    command_ids: Vec<&'a [u8]>,
    fingerprints: Vec<&'a [u8]>,
    kinds: Vec<&'a str>,
    ids: &'a [String],
    first_sequences: Vec<i64>,
    counts: Vec<i64>,
    refusals: Vec<Option<&'a str>>,
    /// By stream: of two in a batch the later one counts.
    names: BTreeMap<(&'a str, &'a str), &'a PersonalData>,
    events: EventColumns<'a>,
}

#[derive(Default)]
struct EventColumns<'a> {
    kinds: Vec<&'a str>,
    ids: Vec<&'a str>,
    sequences: Vec<i64>,
    expected: Vec<i64>,
    types: Vec<&'a str>,
    versions: Vec<&'a str>,
    payloads: Vec<&'a str>,
    metadata: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    /// The aggregate ids of the batch.
    pub(super) fn ids(batch: &[&Append]) -> Vec<String> {
        batch.iter().map(|append| append.stream.number.to_string()).collect()
    }

    pub(super) fn new(batch: &[&'a Append], ids: &'a [String]) -> Self {
        let mut columns = Self { ids, ..Self::default() };
        for (append, id) in batch.iter().zip(ids) {
            columns.command_ids.push(append.command_id.as_bytes());
            columns.fingerprints.push(&append.fingerprint);
            columns.kinds.push(&append.stream.kind);
            columns.first_sequences.push(append.first_sequence());
            columns.counts.push(append.count());
            columns.refusals.push(append.kind.refusal());
            let stream = (append.stream.kind.as_ref(), id.as_str());
            columns.names.extend(append.personal.iter().map(|personal| (stream, personal)));
            columns.events.push(append, id);
        }
        columns
    }

    pub(super) fn query(self) -> Query<'a, Postgres, PgArguments> {
        let (kinds, ids): (Vec<&str>, Vec<&str>) = self.names.keys().copied().unzip();
        let persons: Vec<Option<i64>> = self.names.values().map(|of| of.person_id()).collect();
        let names: Vec<Option<&str>> = self.names.values().map(|of| of.name()).collect();
        sqlx::query(APPEND)
            .bind(self.command_ids)
            .bind(self.fingerprints)
            .bind(self.kinds)
            .bind(self.ids)
            .bind(self.first_sequences)
            .bind(self.counts)
            .bind(self.refusals)
            .bind(kinds)
            .bind(ids)
            .bind(persons)
            .bind(names)
            .bind(self.events.kinds)
            .bind(self.events.ids)
            .bind(self.events.sequences)
            .bind(self.events.expected)
            .bind(self.events.types)
            .bind(self.events.versions)
            .bind(self.events.payloads)
            .bind(self.events.metadata)
    }
}

impl<'a> EventColumns<'a> {
    fn push(&mut self, append: &'a Append, id: &'a str) {
        for (event, sequence) in append.events.iter().zip(append.first_sequence()..) {
            self.kinds.push(&append.stream.kind);
            self.ids.push(id);
            self.sequences.push(sequence);
            let first = sequence == append.first_sequence();
            self.expected.push(if first { append.expected } else { 0 });
            self.types.push(&event.event_type);
            self.versions.push(&event.event_version);
            self.payloads.push(&event.payload);
            self.metadata.push(&append.metadata);
        }
    }
}
