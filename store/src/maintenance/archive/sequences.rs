//! Whether the events of a log, read in order, follow each other in every stream. It remembers one number per stream.

use crate::log::{RecordedEvent, StreamId};
use std::collections::HashMap;
use std::fmt;

/// Gaps that are described; the others are counted.
const DESCRIBED: usize = 20;

/// Events of a stream that are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The stream.
    pub stream: StreamId,
    /// The last sequence before the gap; 0 where the stream's beginning is missing.
    pub after: i64,
    /// The sequence that was found next.
    pub found: i64,
    /// Its position.
    pub position: i64,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, after, found, position } = self;
        if found <= after {
            return write!(
                f,
                "{stream}: sequence {found} at position {position} comes after {after}"
            );
        }
        write!(
            f,
            "{stream}: sequences {} to {} are missing before position {position}",
            after + 1,
            found - 1
        )
    }
}

/// The last sequence of each stream so far.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    last: HashMap<StreamId, i64>,
    gaps: Vec<Gap>,
    count: u64,
}

impl Sequences {
    pub(super) fn add(&mut self, event: &RecordedEvent) {
        let after = self.last.get(&event.stream).copied().unwrap_or(0);
        if event.sequence != after + 1 {
            self.count += 1;
            if self.gaps.len() < DESCRIBED {
                let (stream, found, position) =
                    (event.stream.clone(), event.sequence, event.position);
                self.gaps.push(Gap { stream, after, found, position });
            }
        }
        self.last.insert(event.stream.clone(), event.sequence);
    }

    /// The first of the gaps, and how many there are.
    pub(super) fn gaps(&self) -> (&[Gap], u64) {
        (&self.gaps, self.count)
    }
}
