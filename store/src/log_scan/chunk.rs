//! Some events of a scan, as the engine handed them over.

use crate::error::StoreError;
use crate::event::EventRef;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Row, Type};
use std::collections::{BTreeSet, HashSet};
use std::fmt;

/// Some events, as the engine handed them over.
pub struct LogChunk {
    kind: &'static str,
    /// The aggregate's number of each row.
    numbers: Vec<i64>,
    rows: Rows,
}

pub(super) enum Rows {
    Postgres(Vec<PgRow>),
    Sqlite(Vec<SqliteRow>),
}

impl fmt::Debug for LogChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogChunk").field("events", &self.len()).finish_non_exhaustive()
    }
}

impl LogChunk {
    /// These rows, with the number of each one's aggregate.
    pub(super) fn new<DB: Engine>(
        kind: &'static str,
        numbers: Vec<i64>,
        rows: Vec<DB::Row>,
    ) -> Self {
        Self { kind, numbers, rows: DB::rows(rows) }
    }

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
        let numbers = self.numbers.iter();
        match &self.rows {
            Rows::Postgres(rows) => {
                rows.iter().zip(numbers).try_for_each(|(row, no)| see(event(self.kind, *no, row)?))
            }
            Rows::Sqlite(rows) => {
                rows.iter().zip(numbers).try_for_each(|(row, no)| see(event(self.kind, *no, row)?))
            }
        }
    }

    /// The streams that go on here, that didn't begin here and that `is_known` doesn't know, by number,
    /// each once.
    pub fn going_on(&self, is_known: impl Fn(i64) -> bool) -> Result<Vec<i64>, StoreError> {
        match &self.rows {
            Rows::Postgres(rows) => going_on(rows, &self.numbers, is_known),
            Rows::Sqlite(rows) => going_on(rows, &self.numbers, is_known),
        }
    }

    /// The same events in so many parts: those of a stream are in the part that `part` says for its
    /// number, in order.
    pub fn split(self, parts: usize, part: impl Fn(i64) -> usize) -> Vec<Self> {
        let Self { kind, numbers, rows } = self;
        match rows {
            Rows::Postgres(rows) => split::<sqlx::Postgres>(kind, (numbers, rows), parts, part),
            Rows::Sqlite(rows) => split::<sqlx::Sqlite>(kind, (numbers, rows), parts, part),
        }
    }
}

fn going_on<'r, R>(
    rows: &'r [R],
    numbers: &[i64],
    is_known: impl Fn(i64) -> bool,
) -> Result<Vec<i64>, StoreError>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let (mut unknown, mut begun) = (BTreeSet::new(), HashSet::new());
    for (row, number) in rows.iter().zip(numbers) {
        if row.try_get_unchecked::<i64, _>(2)? == 1 {
            begun.insert(*number);
        } else if !begun.contains(number) && !is_known(*number) {
            unknown.insert(*number);
        }
    }
    Ok(unknown.into_iter().collect())
}

fn split<DB: Engine>(
    kind: &'static str,
    (numbers, rows): (Vec<i64>, Vec<DB::Row>),
    parts: usize,
    part: impl Fn(i64) -> usize,
) -> Vec<LogChunk> {
    let mut split: Vec<(Vec<i64>, Vec<DB::Row>)> = Vec::new();
    split.resize_with(parts, Default::default);
    for (number, row) in numbers.into_iter().zip(rows) {
        if let Some((numbers, rows)) = split.get_mut(part(number)) {
            numbers.push(number);
            rows.push(row);
        }
    }
    let chunk = |(numbers, rows)| LogChunk::new::<DB>(kind, numbers, rows);
    split.into_iter().map(chunk).collect()
}

/// Which kind of rows an engine has.
pub(super) trait Engine: sqlx::Database {
    /// The column of the aggregate's type, as a condition that leaves the order to the positions.
    const KIND: &'static str;

    fn rows(rows: Vec<Self::Row>) -> Rows;
}

impl Engine for sqlx::Postgres {
    const KIND: &'static str = "aggregate_type";

    fn rows(rows: Vec<PgRow>) -> Rows {
        Rows::Postgres(rows)
    }
}

impl Engine for sqlx::Sqlite {
    // Bare, SQLite would look all streams of the type up, and sort them, for every stretch.
    const KIND: &'static str = "+aggregate_type";

    fn rows(rows: Vec<SqliteRow>) -> Rows {
        Rows::Sqlite(rows)
    }
}

/// The statement says what each column is; asking for it again for every row is dear.
fn event<'r, R>(kind: &'static str, number: i64, row: &'r R) -> Result<EventRef<'r>, StoreError>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
{
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
