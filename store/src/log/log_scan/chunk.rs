//! Some events of a scan, with their texts one after another, from either engine.

use crate::log::event::{Cells, Damage, EventRef};
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::mem::replace;
use std::ops::Range;
use std::sync::Arc;

/// Events of one chunk, unless its bytes end it before.
pub(super) const CHUNK: usize = 512;
/// Bytes of events that end a chunk, so that memory is bounded whatever their size; the last event may exceed it.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Some events.
pub struct LogChunk {
    kind: &'static str,
    /// Shared with the other parts of a chunk that was split.
    texts: Arc<String>,
    events: Vec<EventPlace>,
}

/// One event, with its parts of the texts.
#[derive(Debug, Clone)]
struct EventPlace {
    position: i64,
    number: i64,
    sequence: i64,
    recorded_at: i64,
    event_type: Range<usize>,
    event_version: Range<usize>,
    payload: Range<usize>,
    damage: Option<Arc<Damage>>,
}

/// A chunk that is being filled.
#[derive(Debug, Default)]
pub(super) struct Filling {
    texts: String,
    events: Vec<EventPlace>,
}

impl Filling {
    /// Takes an event in, of the scan's aggregate type.
    pub(super) fn push(&mut self, position: i64, cells: &Cells<'_>) {
        let place = EventPlace {
            position,
            number: cells.number(),
            sequence: cells.sequence.unwrap_or(0),
            recorded_at: cells.recorded_at.unwrap_or(0),
            event_type: self.append(&cells.event_type.text),
            event_version: self.append(&cells.event_version.text),
            payload: self.append(&cells.payload.text),
            damage: cells.damage().map(Arc::new),
        };
        self.events.push(place);
    }

    fn append(&mut self, text: &str) -> Range<usize> {
        let begin = self.texts.len();
        self.texts.push_str(text);
        begin..self.texts.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether the chunk is complete.
    pub(super) const fn is_full(&self) -> bool {
        self.events.len() >= CHUNK || self.texts.len() >= CHUNK_BYTES
    }

    /// Takes its events out, and reserves room for as many again.
    pub(super) fn take(&mut self, kind: &'static str) -> LogChunk {
        let room = Self {
            texts: String::with_capacity(self.texts.len() * 9 / 8),
            events: Vec::with_capacity(self.events.len()),
        };
        let Self { texts, events } = replace(self, room);
        LogChunk { kind, texts: Arc::new(texts), events }
    }
}

impl fmt::Debug for LogChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogChunk").field("events", &self.len()).finish_non_exhaustive()
    }
}

impl LogChunk {
    /// A chunk of events of one aggregate type, which were read in another way than by a scan of the database.
    pub fn of<'e>(kind: &'static str, events: impl IntoIterator<Item = EventRef<'e>>) -> Self {
        let mut chunk = Filling::default();
        for event in events {
            let place = EventPlace {
                position: event.position,
                number: event.number,
                sequence: event.sequence,
                recorded_at: event.recorded_at,
                event_type: chunk.append(event.event_type),
                event_version: chunk.append(event.event_version),
                payload: chunk.append(event.payload),
                damage: event.damage.cloned().map(Arc::new),
            };
            chunk.events.push(place);
        }
        chunk.take(kind)
    }

    /// How many events.
    pub const fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The events, in order.
    pub fn iter(&self) -> impl Iterator<Item = EventRef<'_>> {
        let text = |range: &Range<usize>| self.texts.get(range.clone()).unwrap_or_default();
        self.events.iter().map(move |place| EventRef {
            position: place.position,
            kind: self.kind,
            number: place.number,
            sequence: place.sequence,
            event_type: text(&place.event_type),
            event_version: text(&place.event_version),
            payload: text(&place.payload),
            recorded_at: place.recorded_at,
            damage: place.damage.as_deref(),
        })
    }

    /// The streams that have events here, did not start here and are not known to `is_known`, by number, each once.
    pub fn continued_streams(&self, is_known: impl Fn(i64) -> bool) -> Vec<i64> {
        let (mut unknown, mut started) = (BTreeSet::new(), HashSet::new());
        let of_streams = self.events.iter().filter(|place| place.number > 0);
        for EventPlace { number, sequence, .. } in of_streams {
            if *sequence == 1 {
                started.insert(*number);
            } else if !started.contains(number) && !is_known(*number) {
                unknown.insert(*number);
            }
        }
        unknown.into_iter().collect()
    }

    /// The same events in so many parts: those of a stream are in the part that `part` says for its
    /// number, in order.
    pub fn split(self, parts: usize, part: impl Fn(i64) -> usize) -> Vec<Self> {
        let empty = || Self { kind: self.kind, texts: Arc::clone(&self.texts), events: Vec::new() };
        let mut split: Vec<Self> = (0..parts).map(|_| empty()).collect();
        for place in self.events {
            if let Some(part) = split.get_mut(part(place.number)) {
                part.events.push(place);
            }
        }
        split
    }
}
