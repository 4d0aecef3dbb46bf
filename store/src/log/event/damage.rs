//! A row of the log that isn't the event of a stream: it was changed by hand, or another program wrote it. Reading
//! the log never fails for such a row; it is returned with its damage, so that the reader can park it and continue with
//! the next one.

use super::{RecordedEvent, StreamId};
use crate::error::StoreError;
use sqlx::{ColumnIndex, Decode, Row, Type};
use std::borrow::Cow;

/// Most characters of a foreign id that are shown.
const SHOWN: usize = 60;

/// The damage of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Why the row can't be read, in words.
    pub reason: String,
    /// The row's own name for its stream, where that is no stream of this program; safe to print.
    pub foreign: Option<String>,
}

/// A column that should hold a text.
#[derive(Debug, Clone)]
pub(crate) struct Cell<'a> {
    /// The text; where it isn't UTF-8, its readable part.
    pub(crate) text: Cow<'a, str>,
    /// Its fault, if it has one.
    pub(crate) fault: Option<&'static str>,
}

impl<'a> Cell<'a> {
    pub(crate) const MISSING: Self = Self { text: Cow::Borrowed(""), fault: Some("is missing") };

    pub(crate) const fn text(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), fault: None }
    }

    pub(crate) fn bytes(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::text(text),
            Err(_) => Self { text: String::from_utf8_lossy(bytes), fault: Some("isn't UTF-8") },
        }
    }

    pub(crate) fn other(text: impl Into<Cow<'a, str>>) -> Self {
        Self { text: text.into(), fault: Some("isn't a text") }
    }
}

/// The columns that decide whether a row is the event of a stream. Metadata isn't among them: an event
/// without them is read all the same.
pub(crate) struct Cells<'a> {
    pub(crate) kind: Cell<'a>,
    pub(crate) id: Cell<'a>,
    pub(crate) sequence: Option<i64>,
    pub(crate) event_type: Cell<'a>,
    pub(crate) event_version: Cell<'a>,
    pub(crate) payload: Cell<'a>,
    pub(crate) recorded_at: Option<i64>,
}

impl Cells<'_> {
    /// The number of the stream, 0 where the row is of no stream.
    pub(crate) fn number(&self) -> i64 {
        let is_placed = self.sequence.is_some_and(|sequence| sequence > 0);
        let is_named = self.kind.fault.is_none() && self.id.fault.is_none();
        number_of(&self.id.text).filter(|_| is_placed && is_named).unwrap_or(0)
    }

    /// The aggregate type, empty where the column is no text: then the row is of no aggregate, also if its
    /// bytes spell one.
    fn kind_of_stream(&self) -> String {
        if self.kind.fault.is_none() { self.kind.text.to_string() } else { String::new() }
    }

    /// The damage of the row, in the same words for every reader.
    pub(crate) fn damage(&self) -> Option<Damage> {
        let reason = self.reason()?;
        let foreign = (self.number() == 0)
            .then(|| format!("{}/{}", printable(&self.kind.text), printable(&self.id.text)));
        Some(Damage { reason, foreign })
    }

    fn reason(&self) -> Option<String> {
        let cells = [
            ("aggregate_type", &self.kind),
            ("aggregate_id", &self.id),
            ("event_type", &self.event_type),
            ("event_version", &self.event_version),
            ("payload", &self.payload),
        ];
        let faulty = |(name, cell): &(&str, &Cell<'_>)| {
            cell.fault.map(|fault| format!("its column {name} {fault}"))
        };
        if let Some(reason) = cells.iter().find_map(faulty) {
            return Some(reason);
        }
        if number_of(&self.id.text).is_none() {
            let id = printable(&self.id.text);
            return Some(format!("its aggregate_id {id:?} isn't the number of a stream"));
        }
        match (self.sequence, self.recorded_at) {
            (None, _) => Some("its column sequence isn't a number".to_owned()),
            (Some(sequence), _) if sequence < 1 => {
                Some(format!("its sequence is {sequence}; the first one of a stream is 1"))
            }
            (_, None) => Some("its column recorded_at isn't a number".to_owned()),
            _ => None,
        }
    }
}

/// The number of an id that is written in the one accepted way.
pub(super) fn number_of(id: &str) -> Option<i64> {
    let first = id.bytes().next()?;
    let is_plain = (b'1'..=b'9').contains(&first) && id.bytes().all(|b| b.is_ascii_digit());
    id.parse().ok().filter(|_| is_plain)
}

/// Whether a text can be shown, and typed, as it is.
pub(super) fn is_word(text: &str) -> bool {
    text.len() <= SHOWN && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
}

/// The part of a foreign text that can be shown on a terminal and in a key.
pub(super) fn printable(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_ascii_graphic() || c.is_alphanumeric() { c } else { '\u{fffd}' })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

impl RecordedEvent {
    /// A row that [`RecordedEvent::from_row`] could not read at once, with its damage. Only a
    /// position that can't be read is an error.
    pub(super) fn from_damaged_row<'r, R>(row: &'r R) -> Result<Self, StoreError>
    where
        R: Row,
        usize: ColumnIndex<R>,
        i64: Decode<'r, R::Database> + Type<R::Database>,
        String: Decode<'r, R::Database> + Type<R::Database>,
        Vec<u8>: Decode<'r, R::Database>,
    {
        let cells = Cells {
            kind: cell(row, 1),
            id: cell(row, 2),
            sequence: row.try_get(3).ok(),
            event_type: cell(row, 4),
            event_version: cell(row, 5),
            payload: cell(row, 6),
            recorded_at: row.try_get(8).ok(),
        };
        Ok(Self {
            position: row.try_get(0)?,
            stream: StreamId::new(cells.kind_of_stream(), cells.number()),
            sequence: cells.sequence.unwrap_or(0),
            damage: cells.damage().map(Box::new),
            event_type: cells.event_type.text.into_owned(),
            event_version: cells.event_version.text.into_owned(),
            payload: cells.payload.text.into_owned(),
            metadata: metadata(cell(row, 7)),
            recorded_at: cells.recorded_at.unwrap_or(0),
        })
    }
}

/// Metadata that are no text are none: nothing is decided by them, and a check names them.
fn metadata(cell: Cell<'_>) -> String {
    if cell.fault.is_none() { cell.text.into_owned() } else { String::new() }
}

fn cell<'r, R>(row: &'r R, column: usize) -> Cell<'r>
where
    R: Row,
    usize: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database>,
{
    if let Ok(text) = row.try_get::<String, _>(column) {
        return Cell { text: Cow::Owned(text), fault: None };
    }
    match row.try_get_unchecked::<Option<Vec<u8>>, _>(column) {
        Ok(Some(bytes)) => {
            let fault =
                if std::str::from_utf8(&bytes).is_err() { "isn't UTF-8" } else { "isn't a text" };
            Cell {
                text: Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
                fault: Some(fault),
            }
        }
        Ok(None) | Err(_) => Cell::MISSING,
    }
}

/// A text of a row as far as it is one, safe to print, so that a count of rows doesn't end at a damaged one.
pub(crate) fn lossy<'r, R>(row: &'r R, column: usize) -> String
where
    R: Row,
    usize: ColumnIndex<R>,
    Vec<u8>: Decode<'r, R::Database>,
{
    let bytes = row.try_get_unchecked::<Option<Vec<u8>>, _>(column).ok().flatten();
    let bytes = bytes.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &'static str, sequence: i64) -> Cells<'static> {
        Cells {
            kind: Cell::text("item"),
            id: Cell::text(id),
            sequence: Some(sequence),
            event_type: Cell::text("Changed"),
            event_version: Cell::text("1"),
            payload: Cell::text("{}"),
            recorded_at: Some(7),
        }
    }

    #[test]
    fn only_the_canonical_spelling_of_a_positive_number_is_a_stream() {
        let number = i64::MAX.to_string();
        assert_eq!(number_of(&number), Some(i64::MAX));
        for id in ["", "0", "-5", "+5", "007", " 7", "7 ", "abc", "9223372036854775808", "٣"] {
            assert_eq!(number_of(id), None, "{id}");
        }
    }

    #[test]
    fn key_of_an_unusual_aggregate_type_is_short_and_printable() {
        let key = |kind: &str| {
            let event = RecordedEvent {
                position: 9,
                stream: StreamId::new(kind.to_owned(), 5),
                sequence: 1,
                event_type: String::new(),
                event_version: String::new(),
                payload: String::new(),
                metadata: String::new(),
                recorded_at: 0,
                damage: None,
            };
            event.key()
        };
        assert_eq!(key("invoice"), "invoice/5");
        assert_eq!(key("a/b"), "a/b/5@9", "it is no stream's");
        assert_eq!(key("a\u{1b}[2J"), "a\u{fffd}[2J/5@9");
        assert!(key(&"x".repeat(9_000)).len() < 80);
    }

    #[test]
    fn binary_aggregate_type_is_not_a_stream() {
        let cells = Cells { kind: Cell::other("item"), ..row("7", 1) };
        assert_eq!((cells.kind_of_stream().as_str(), cells.number()), ("", 0));
        assert_eq!(cells.damage().and_then(|damage| damage.foreign).as_deref(), Some("item/7"));
    }

    #[test]
    fn damage_names_the_column_and_the_stream() {
        assert_eq!(row("7", 1).damage(), None);
        let text = row("abc\u{1b}[2J", 1).damage().unwrap();
        assert_eq!(text.foreign.as_deref(), Some("item/abc\u{fffd}[2J"));
        assert!(text.reason.contains("aggregate_id"), "{text:?}");
        let early = row("7", 0);
        assert_eq!(early.number(), 0, "it has no place in the stream");
        assert!(early.damage().unwrap().reason.contains("sequence is 0"));
        let broken = Cells { payload: Cell::bytes(b"{\xff}"), ..row("7", 2) };
        assert_eq!(broken.number(), 7, "its stream is known");
        let damage = broken.damage().unwrap();
        assert_eq!(damage.foreign, None);
        assert_eq!(damage.reason, "its column payload isn't UTF-8");
    }
}
