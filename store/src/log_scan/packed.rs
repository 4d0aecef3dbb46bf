//! Reading SQLite's log: many events come as one text. Row by row, handing over (a message between
//! threads, a copy of every column) takes several times as long as reading.
//!
//! An event is `<position> <sequence> <recorded_at> <bytes of id> <of type> <of version> <of payload> `,
//! then those four, and the next event follows at once: whatever they contain, lengths say where they end.

use super::{CHUNK, LogChunk, number};
use crate::error::StoreError;
use crate::event::EventRef;
use sqlx::SqlitePool;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::mpsc;

/// `+aggregate_type`: bare, SQLite would look all streams of the type up, and sort them, for every
/// stretch.
pub(super) const SQL: &str = "SELECT CAST(group_concat(position || ' ' || sequence || ' ' || \
     recorded_at || ' ' || octet_length(aggregate_id) || ' ' || octet_length(event_type) || ' ' || \
     octet_length(event_version) || ' ' || octet_length(payload) || ' ' || \
     aggregate_id || event_type || event_version || payload, '') AS BLOB) \
     FROM (SELECT * FROM events WHERE position > $1 AND position <= $2 AND +aggregate_type = $3 \
     ORDER BY position LIMIT $4)";

/// Events that share a text.
#[derive(Debug, Default)]
pub(super) struct Packed {
    text: Arc<Vec<u8>>,
    events: Vec<Place>,
}

/// Where an event is in the text.
#[derive(Debug, Clone)]
struct Place {
    position: i64,
    sequence: i64,
    recorded_at: i64,
    id: Range<usize>,
    event_type: Range<usize>,
    event_version: Range<usize>,
    payload: Range<usize>,
}

/// Reads all chunks of a scan; ends early when nobody takes them.
pub(super) async fn read(
    pool: &SqlitePool,
    chunks: &mpsc::Sender<Result<LogChunk, StoreError>>,
    kind: &'static str,
    (mut after, until): (i64, i64),
) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await?;
    let most = i64::try_from(CHUNK).unwrap_or(i64::MAX);
    loop {
        let query = sqlx::query_scalar(SQL).bind(after).bind(until).bind(kind).bind(most);
        let text: Option<Vec<u8>> = query.fetch_one(&mut *connection).await?;
        let packed = Packed::parse(text.unwrap_or_default(), after)?;
        let Some(last) = packed.events.last() else { return Ok(()) };
        after = last.position;
        let is_last = packed.events.len() < CHUNK;
        if chunks.send(Ok(packed.into_chunk(kind)?)).await.is_err() || is_last {
            return Ok(());
        }
    }
}

impl Packed {
    /// Finds the events of a text; they must ascend from `after`.
    fn parse(text: Vec<u8>, mut after: i64) -> Result<Self, StoreError> {
        let (mut at, mut events) = (0, Vec::new());
        while at < text.len() {
            let broken = || StoreError::Corrupt(format!("the events after {after} can't be read"));
            let event = Place::parse(&text, &mut at).ok_or_else(broken)?;
            if event.position <= after {
                return Err(StoreError::Corrupt(format!("{} came after {after}", event.position)));
            }
            after = event.position;
            events.push(event);
        }
        Ok(Self { text: Arc::new(text), events })
    }

    fn into_chunk(self, kind: &'static str) -> Result<LogChunk, StoreError> {
        let numbers = self.events.iter().map(|event| number(kind, self.str(&event.id)?));
        let numbers = numbers.collect::<Result<_, _>>()?;
        Ok(LogChunk { kind, numbers, rows: super::chunk::Rows::Sqlite(self) })
    }

    fn str(&self, range: &Range<usize>) -> Result<&str, StoreError> {
        let bytes = self.text.get(range.clone()).unwrap_or_default();
        str::from_utf8(bytes).map_err(|error| StoreError::Corrupt(format!("an event: {error}")))
    }

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
        self.events.iter().zip(numbers).map(move |(event, number)| {
            Ok(EventRef {
                position: event.position,
                kind,
                number: *number,
                sequence: event.sequence,
                event_type: self.str(&event.event_type)?,
                event_version: self.str(&event.event_version)?,
                payload: self.str(&event.payload)?,
                recorded_at: event.recorded_at,
            })
        })
    }

    /// The same text without events, for some of them.
    pub(super) fn empty(&self) -> Self {
        Self { text: Arc::clone(&self.text), events: Vec::new() }
    }

    /// Takes in the event at this place of another that shares the text.
    pub(super) fn take(&mut self, from: &Self, index: usize) {
        self.events.extend(from.events.get(index).cloned());
    }
}

impl Place {
    fn parse(text: &[u8], at: &mut usize) -> Option<Self> {
        let mut next = || int(text, at);
        let (position, sequence, recorded_at) = (next()?, next()?, next()?);
        let lengths = [next()?, next()?, next()?, next()?];
        let mut take = |length: i64| {
            let begin = *at;
            *at = begin.checked_add(usize::try_from(length).ok()?)?;
            (*at <= text.len()).then_some(begin..*at)
        };
        let [id, event_type, event_version, payload] = lengths;
        Some(Self {
            position,
            sequence,
            recorded_at,
            id: take(id)?,
            event_type: take(event_type)?,
            event_version: take(event_version)?,
            payload: take(payload)?,
        })
    }
}

/// The number up to the next blank, and beyond it.
fn int(text: &[u8], at: &mut usize) -> Option<i64> {
    let rest = text.get(*at..)?;
    let end = rest.iter().position(|byte| *byte == b' ')?;
    *at += end + 1;
    str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(position: i64, id: &str, payload: &str) -> String {
        let (id_bytes, payload_bytes) = (id.len(), payload.len());
        format!("{position} 1 99 {id_bytes} 7 1 {payload_bytes} {id}Counted2{payload}")
    }

    #[test]
    fn whatever_an_event_contains_it_ends_where_its_lengths_say() {
        let odd = "7 1 99 1 1 1 1 \u{0}\u{1f} 가격\n";
        let two = text(5, "12", odd) + &text(7, "3", "");
        let chunk = Packed::parse(two.into_bytes(), 4).unwrap().into_chunk("counter").unwrap();
        let mut seen = Vec::new();
        let see = |event: EventRef<'_>| {
            seen.push((event.position, event.number, event.payload.to_owned()));
            assert_eq!((event.event_type, event.event_version), ("Counted", "2"));
            assert_eq!((event.sequence, event.recorded_at), (1, 99));
            Ok::<_, StoreError>(())
        };
        chunk.each(see).unwrap();
        assert_eq!(seen, [(5, 12, odd.to_owned()), (7, 3, String::new())]);
    }

    #[test]
    fn what_is_cut_short_or_out_of_order_is_no_end() {
        let whole = text(5, "12", "{}");
        for cut in 1..whole.len() {
            let cut = whole.as_bytes().get(..cut).unwrap().to_vec();
            assert!(Packed::parse(cut, 4).is_err());
        }
        assert!(Packed::parse(whole.into_bytes(), 5).is_err(), "5 was read before");
        let turned = text(7, "3", "") + &text(5, "12", "");
        assert!(Packed::parse(turned.into_bytes(), 0).is_err());
    }
}
