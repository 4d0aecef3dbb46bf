//! Reading SQLite's log: the columns of many events come as one row of lists. Row by row, handing over
//! (a message between threads, a copy of every column) takes several times as long as reading.
//!
//! Numbers are lists with blanks between. Texts follow each other at once, and whatever they contain,
//! lists of their lengths say where they end.

use super::chunk::Rows;
use super::{LogChunk, number};
use crate::error::StoreError;
use crate::event::EventRef;
use futures::stream::{self, StreamExt, TryStreamExt};
use sqlx::SqlitePool;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Positions of one row of lists. An event is some hundred bytes, 1 MiB at most where somebody means
/// harm: then a row may weigh half of what SQLite allows (1 GB).
const CHUNK: i64 = 512;
/// Positions between two looks whether there is a wide hole.
const STRETCH: i64 = 64 * CHUNK;
/// Rows asked for at once, so that SQLite reads while the one before is taken apart.
const AT_ONCE: usize = 2;

/// `+aggregate_type`: bare, SQLite would look all streams of the type up, and sort them, for every
/// stretch.
pub(super) const SQL: &str = "SELECT \
     group_concat(position, ' '), group_concat(sequence, ' '), group_concat(recorded_at, ' '), \
     group_concat(octet_length(aggregate_id), ' '), CAST(group_concat(aggregate_id, '') AS BLOB), \
     group_concat(octet_length(event_type), ' '), CAST(group_concat(event_type, '') AS BLOB), \
     group_concat(octet_length(event_version), ' '), CAST(group_concat(event_version, '') AS BLOB), \
     group_concat(octet_length(payload), ' '), CAST(group_concat(payload, '') AS BLOB) \
     FROM (SELECT * FROM events WHERE position > $1 AND position <= $2 AND +aggregate_type = $3 \
     ORDER BY position) HAVING count(*) > 0";

/// Positions, sequences, times; then ids, types, versions and payloads, each after their lengths.
type Lists =
    (String, String, String, String, Vec<u8>, String, Vec<u8>, String, Vec<u8>, String, Vec<u8>);

/// Events that share their texts.
#[derive(Debug)]
pub(super) struct Packed {
    texts: Arc<Texts>,
    events: Vec<Place>,
}

#[derive(Debug)]
struct Texts {
    types: Text,
    versions: Text,
    payloads: Text,
}

/// What one event is, and which of the texts are its own.
#[derive(Debug, Clone, Copy)]
struct Place {
    index: usize,
    position: i64,
    sequence: i64,
    recorded_at: i64,
}

/// Reads all chunks of a scan; ends early when nobody takes them.
pub(super) async fn read(
    pool: &SqlitePool,
    chunks: &mpsc::Sender<Result<LogChunk, StoreError>>,
    kind: &'static str,
    (mut after, until): (i64, i64),
) -> Result<(), StoreError> {
    while after < until && !chunks.is_closed() {
        let end = until.min(after.saturating_add(STRETCH));
        let mut rows = stream::iter(ranges(after, end))
            .map(|range| lists(pool, kind, range))
            .buffered(AT_ONCE);
        let mut last = after;
        while let Some(lists) = rows.try_next().await? {
            let Some(lists) = lists else { continue };
            let (chunk, reached) = chunk(kind, lists, last)?;
            last = reached;
            if chunks.send(Ok(chunk)).await.is_err() {
                return Ok(());
            }
        }
        // Nobody walks through a wide hole.
        after = if last > after { end } else { before_next(pool, end).await?.unwrap_or(until) };
    }
    Ok(())
}

/// The stretch in pieces: after the first position, up to and including the second.
fn ranges(after: i64, end: i64) -> impl Iterator<Item = (i64, i64)> {
    let begins = std::iter::successors(Some(after), |begin| begin.checked_add(CHUNK));
    let begins = begins.take_while(move |begin| *begin < end);
    begins.map(move |begin| (begin, end.min(begin.saturating_add(CHUNK))))
}

async fn lists(
    pool: &SqlitePool,
    kind: &'static str,
    (after, until): (i64, i64),
) -> Result<Option<Lists>, StoreError> {
    let query = sqlx::query_as(SQL).bind(after).bind(until).bind(kind);
    Ok(query.fetch_optional(pool).await?)
}

/// The position before that of the next event, if there is one.
async fn before_next(pool: &SqlitePool, position: i64) -> Result<Option<i64>, StoreError> {
    let query = sqlx::query_scalar("SELECT min(position) - 1 FROM events WHERE position > $1");
    Ok(query.bind(position).fetch_one(pool).await?)
}

/// The events of these lists, and the last one's position; they must ascend from `after`.
fn chunk(kind: &'static str, lists: Lists, mut after: i64) -> Result<(LogChunk, i64), StoreError> {
    let (positions, sequences, times, ids, id, types, event_type, versions, version, lengths, text) =
        lists;
    let ids = Text::new(&ids, id)?;
    let (types, versions) = (Text::new(&types, event_type)?, Text::new(&versions, version)?);
    let payloads = Text::new(&lengths, text)?;
    let (sequences, times) = (ints(&sequences)?, ints(&times)?);
    let (mut events, mut numbers) = (Vec::new(), Vec::new());
    for (index, position) in ints(&positions)?.into_iter().enumerate() {
        if position <= after {
            return Err(StoreError::Corrupt(format!("event {position} came after {after}")));
        }
        after = position;
        let (sequence, recorded_at) = (one(&sequences, index)?, one(&times, index)?);
        events.push(Place { index, position, sequence, recorded_at });
        numbers.push(number(kind, ids.get(index)?)?);
    }
    let texts = Arc::new(Texts { types, versions, payloads });
    Ok((LogChunk { kind, numbers, rows: Rows::Sqlite(Packed { texts, events }) }, after))
}

impl Packed {
    /// The sequences, in order.
    pub(super) fn sequences(&self) -> impl Iterator<Item = i64> {
        self.events.iter().map(|event| event.sequence)
    }

    /// The events, in order; `numbers` are those of their aggregates.
    pub(super) fn each<'a>(
        &'a self,
        kind: &'static str,
        numbers: &'a [i64],
    ) -> impl Iterator<Item = Result<EventRef<'a>, StoreError>> {
        let Texts { types, versions, payloads } = &*self.texts;
        self.events.iter().zip(numbers).map(move |(place, number)| {
            Ok(EventRef {
                position: place.position,
                kind,
                number: *number,
                sequence: place.sequence,
                event_type: types.get(place.index)?,
                event_version: versions.get(place.index)?,
                payload: payloads.get(place.index)?,
                recorded_at: place.recorded_at,
            })
        })
    }

    /// None of the events, for some of them to come.
    pub(super) fn empty(&self) -> Self {
        Self { texts: Arc::clone(&self.texts), events: Vec::new() }
    }

    /// Takes in an event of another that shares the texts.
    pub(super) fn take(&mut self, from: &Self, index: usize) {
        self.events.extend(from.events.get(index));
    }
}

/// Texts without anything between.
#[derive(Debug)]
struct Text {
    all: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Text {
    fn new(lengths: &str, all: Vec<u8>) -> Result<Self, StoreError> {
        let mut end = 0;
        let ranges = ints(lengths)?.into_iter().map(|length| {
            let begin = end;
            end += usize::try_from(length).map_err(|_| broken())?;
            Ok(begin..end)
        });
        let ranges = ranges.collect::<Result<_, StoreError>>()?;
        if end == all.len() { Ok(Self { all, ranges }) } else { Err(broken()) }
    }

    fn get(&self, index: usize) -> Result<&str, StoreError> {
        let bytes = self.ranges.get(index).and_then(|range| self.all.get(range.clone()));
        str::from_utf8(bytes.ok_or_else(broken)?)
            .map_err(|error| StoreError::Corrupt(format!("an event's text: {error}")))
    }
}

fn ints(list: &str) -> Result<Vec<i64>, StoreError> {
    list.split(' ').map(|int| int.parse().map_err(|_| broken())).collect()
}

fn one(list: &[i64], index: usize) -> Result<i64, StoreError> {
    list.get(index).copied().ok_or_else(broken)
}

fn broken() -> StoreError {
    StoreError::Corrupt("events whose lists don't fit together".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: &str = "7 1 {} \u{0}\u{1f} 가격\n";

    /// Two events at 5 and 7, the first with an odd payload, the other without any.
    fn lists() -> Lists {
        let list = |text: &str| text.to_owned();
        let payloads = (format!("{} 0", ODD.len()), ODD.as_bytes().to_vec());
        let ids = (list("2 1"), b"123".to_vec());
        let types = (list("7 4"), b"CountedLost".to_vec());
        let versions = (list("1 1"), b"21".to_vec());
        let (positions, sequences, times) = (list("5 7"), list("1 4"), list("99 98"));
        let (ids, id) = ids;
        let (types, event_type) = types;
        let (versions, version) = versions;
        let (lengths, text) = payloads;
        (positions, sequences, times, ids, id, types, event_type, versions, version, lengths, text)
    }

    #[test]
    fn whatever_an_event_contains_it_ends_where_its_length_says() {
        let (chunk, last) = chunk("counter", lists(), 4).unwrap();
        assert_eq!(last, 7);
        let mut seen = Vec::new();
        let see = |event: EventRef<'_>| {
            let told = (event.position, event.number, event.sequence, event.recorded_at);
            seen.push((told, [event.event_type, event.event_version, event.payload].join("|")));
            Ok::<_, StoreError>(())
        };
        chunk.each(see).unwrap();
        let first = format!("Counted|2|{ODD}");
        assert_eq!(seen, [((5, 12, 1, 99), first), ((7, 3, 4, 98), "Lost|1|".to_owned())]);
    }

    #[test]
    fn lists_that_do_not_fit_are_no_end() {
        let mut short = lists();
        short.10.pop();
        assert!(chunk("counter", short, 4).is_err(), "a payload is cut short");
        let mut fewer = lists();
        fewer.1 = "1".to_owned();
        assert!(chunk("counter", fewer, 4).is_err(), "a sequence is missing");
        assert!(chunk("counter", lists(), 5).is_err(), "5 was read before");
        let mut turned = lists();
        turned.0 = "7 5".to_owned();
        assert!(chunk("counter", turned, 4).is_err(), "7 comes before 5");
    }
}
