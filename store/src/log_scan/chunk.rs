//! Some events of a scan, as the engine handed them over.

use super::in_place::Packed;
use crate::error::StoreError;
use crate::event::EventRef;
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::{BTreeSet, HashSet};
use std::fmt;

/// Some events, as the engine handed them over.
pub struct LogChunk {
    pub(super) kind: &'static str,
    /// The aggregate's number of each event.
    pub(super) numbers: Vec<i64>,
    pub(super) rows: Rows,
}

pub(super) enum Rows {
    Postgres(Vec<PgRow>),
    Sqlite(Packed),
}

impl fmt::Debug for LogChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogChunk").field("events", &self.len()).finish_non_exhaustive()
    }
}

impl LogChunk {
    /// How many events.
    pub const fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Shows every event, in order, until one is refused.
    pub fn each<E: From<StoreError>>(
        &self,
        mut see: impl FnMut(EventRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.rows {
            Rows::Postgres(rows) => {
                let mut rows = rows.iter().zip(&self.numbers);
                rows.try_for_each(|(row, number)| see(event(self.kind, *number, row)?))
            }
            Rows::Sqlite(packed) => packed.each(self.kind, &self.numbers).try_for_each(see),
        }
    }

    /// The streams that go on here, that didn't begin here and that `is_known` doesn't know, by number,
    /// each once.
    pub fn going_on(&self, is_known: impl Fn(i64) -> bool) -> Result<Vec<i64>, StoreError> {
        let sequences = match &self.rows {
            Rows::Postgres(rows) => {
                rows.iter().map(|row| row.try_get_unchecked(2)).collect::<Result<Vec<i64>, _>>()?
            }
            Rows::Sqlite(packed) => packed.sequences().collect(),
        };
        let (mut unknown, mut begun) = (BTreeSet::new(), HashSet::new());
        for (sequence, number) in sequences.into_iter().zip(&self.numbers) {
            if sequence == 1 {
                begun.insert(*number);
            } else if !begun.contains(number) && !is_known(*number) {
                unknown.insert(*number);
            }
        }
        Ok(unknown.into_iter().collect())
    }

    /// The same events in so many parts: those of a stream are in the part that `part` says for its
    /// number, in order.
    pub fn split(self, parts: usize, part: impl Fn(i64) -> usize) -> Vec<Self> {
        let Self { kind, numbers, rows } = self;
        let mut split: Vec<Self> = (0..parts).map(|_| Self::empty(kind, &rows)).collect();
        match rows {
            Rows::Postgres(rows) => {
                for (number, row) in numbers.into_iter().zip(rows) {
                    if let Some(Self { numbers, rows: Rows::Postgres(rows), .. }) =
                        split.get_mut(part(number))
                    {
                        numbers.push(number);
                        rows.push(row);
                    }
                }
            }
            Rows::Sqlite(packed) => {
                for (index, number) in numbers.into_iter().enumerate() {
                    if let Some(Self { numbers, rows: Rows::Sqlite(part), .. }) =
                        split.get_mut(part(number))
                    {
                        numbers.push(number);
                        part.take(&packed, index);
                    }
                }
            }
        }
        split
    }

    fn empty(kind: &'static str, like: &Rows) -> Self {
        let rows = match like {
            Rows::Postgres(_) => Rows::Postgres(Vec::new()),
            Rows::Sqlite(packed) => Rows::Sqlite(packed.empty()),
        };
        Self { kind, numbers: Vec::new(), rows }
    }
}

/// The statement says what each column is; asking for it again for every row is dear.
fn event<'r>(kind: &'static str, number: i64, row: &'r PgRow) -> Result<EventRef<'r>, StoreError> {
    Ok(EventRef {
        position: row.try_get_unchecked(0)?,
        kind,
        number,
        sequence: row.try_get_unchecked(2)?,
        event_type: row.try_get_unchecked(3)?,
        event_version: row.try_get_unchecked(4)?,
        payload: row.try_get_unchecked(5)?,
        recorded_at: row.try_get_unchecked(6)?,
    })
}
