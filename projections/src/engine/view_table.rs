//! A view's table: one row per stream, the same SQL on both engines, made by the build of the view.
//!
//! Its name has the view's version, and that of a build its generation too, so that a new version or a
//! rebuild and what is served are different tables. What rows are found by has columns of its own; the
//! rest is one document.

mod bulk;
mod columns;
mod ddl;
mod rights;
mod stale;

pub use stale::Stale;

use crate::engine::view::{Filters, View};
use gdmarket_store::{Db, StoreError, Tx, on_tx};
use serde::Serialize;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;

/// Rows per statement, so that none is held up for long by another.
const CHUNK: usize = 500;

const COLUMNS: &str = "no, sequence, gone, owner_id, customer_id, item_no, reservation_no, status, \
                       stale_since, stale_reason, doc";

/// The table that is served of a view, or that of a build.
#[derive(Debug)]
pub(crate) struct ViewTable<V> {
    name: String,
    view: PhantomData<fn() -> V>,
}

/// A row with what is known of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored<R> {
    /// The stream's number.
    pub(crate) number: i64,
    /// The last sequence that is in the row.
    pub(crate) sequence: i64,
    /// Since when (in microseconds) and why the row stands still.
    pub(crate) stale: Option<(i64, String)>,
    /// The row.
    pub(crate) row: R,
}

impl<R: Default> Stored<R> {
    /// The row before the stream's first event.
    pub(crate) fn new(number: i64) -> Self {
        Self { number, sequence: 0, stale: None, row: R::default() }
    }
}

/// Rows that were looked up.
#[derive(Debug)]
pub(crate) struct Found<R> {
    /// Those that are there, by number.
    pub(crate) rows: HashMap<i64, Stored<R>>,
    /// Why those can't be read that can't.
    pub(crate) broken: BTreeMap<i64, String>,
}

/// All columns of a row.
pub(crate) type Whole = (
    i64,
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<String>,
    String,
);

/// A row as the table has it.
pub(crate) type Raw = (i64, i64, Option<i64>, Option<String>, String);

const RAW: &str = "no, sequence, stale_since, stale_reason, doc";

impl<V: View> ViewTable<V> {
    /// The table that is served.
    pub(crate) fn served() -> Self {
        Self { name: format!("view_{}", V::subscription()), view: PhantomData }
    }

    /// The table of a build, until it is served: of the generation that it would be, and the epoch of
    /// the lease it is built under, so that no two builds ever share one.
    pub(crate) fn build(generation: i64, epoch: i64) -> Self {
        let name = format!("{}_g{generation}_{epoch}", Self::served().name);
        Self { name, view: PhantomData }
    }

    /// The table's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The rows of these streams in the table of a build, by number; absent before their first event. A row
    /// that can't be read is an error: what a build wrote itself can be. Of what is served, any row may be
    /// damaged: it is read with [`ViewTable::look_up`].
    pub(crate) async fn load(
        &self,
        db: &Db,
        numbers: &[i64],
    ) -> Result<HashMap<i64, Stored<V::Row>>, StoreError> {
        let Found { rows, broken } = self.look_up(db, numbers).await?;
        broken.into_values().next().map_or(Ok(rows), |why| Err(StoreError::Corrupt(why)))
    }

    /// As [`ViewTable::load`], with the rows that can't be read.
    pub(crate) async fn look_up(
        &self,
        db: &Db,
        numbers: &[i64],
    ) -> Result<Found<V::Row>, StoreError> {
        let mut found =
            Found { rows: HashMap::with_capacity(numbers.len()), broken: BTreeMap::new() };
        if numbers.is_empty() {
            return Ok(found);
        }
        let select = self.select_sql();
        // One parameter whatever the number of rows: the same prepared statement.
        let rows: Vec<(i64, Result<Raw, String>)> = match db {
            Db::Postgres(pool) => {
                let sql = format!("{select} WHERE no = ANY($1)");
                let rows = sqlx::query(&sql).bind(numbers).fetch_all(pool).await?;
                rows.iter().map(read_row).collect::<Result<_, _>>()?
            }
            Db::Sqlite { read, .. } => {
                let sql = format!("{select} WHERE no IN (SELECT value FROM json_each($1))");
                let rows = sqlx::query(&sql).bind(json(&numbers)?).fetch_all(read).await?;
                rows.iter().map(read_row).collect::<Result<_, _>>()?
            }
        };
        for (number, raw) in rows {
            match self.decode((number, raw)) {
                Ok(stored) => drop(found.rows.insert(number, stored)),
                Err(why) => drop(found.broken.insert(number, why)),
            }
        }
        Ok(found)
    }

    /// A row of the table, or why it can't be read.
    pub(crate) fn decode(
        &self,
        (number, raw): (i64, Result<Raw, String>),
    ) -> Result<Stored<V::Row>, String> {
        let why = match raw.map(|raw| self.read(raw)) {
            Ok(Ok(stored)) => return Ok(stored),
            Ok(Err(error)) => error.to_string(),
            Err(why) => format!("row {number} of {} can't be read: {why}", self.name),
        };
        Err(why)
    }

    /// Takes a row away that no stream stands behind.
    pub(crate) async fn remove_row(&self, tx: &mut Tx, number: i64) -> Result<(), StoreError> {
        let sql = format!("DELETE FROM {} WHERE no = $1", self.name);
        Ok(on_tx!(tx, connection => {
            sqlx::query(&sql).bind(number).execute(connection).await.map(drop)
        })?)
    }

    /// The first rows after a number as the table has them, gone ones too, as `tx` sees them; for a row
    /// that can't be read, why.
    pub(crate) async fn part(
        &self,
        tx: &mut Tx,
        after: i64,
        limit: u32,
    ) -> Result<BTreeMap<i64, Result<Whole, String>>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM {} WHERE no > $1 ORDER BY no LIMIT $2", self.name);
        on_tx!(tx, connection => {
            let query = sqlx::query(&sql).bind(after).bind(i64::from(limit));
            query.fetch_all(connection).await?.iter().map(read_row).collect()
        })
    }

    /// Writes rows, each once at most.
    pub(crate) async fn write(
        &self,
        tx: &mut Tx,
        rows: &[&Stored<V::Row>],
    ) -> Result<(), StoreError> {
        let name = &self.name;
        for chunk in rows.chunks(CHUNK) {
            let rows = chunk.iter().map(|stored| self.whole(stored));
            let rows = rows.collect::<Result<Vec<Whole>, _>>()?;
            match &mut *tx {
                Tx::Postgres(tx) => {
                    let insert = format!("INSERT INTO {name} ({COLUMNS}) {FROM_ARRAYS} {UPSERT}");
                    columns::bind(sqlx::query(&insert), rows).execute(&mut **tx).await?;
                }
                Tx::Sqlite(tx) => {
                    let insert = format!("INSERT INTO {name} ({COLUMNS}) {FROM_JSON} {UPSERT}");
                    sqlx::query(&insert).bind(json(&rows)?).execute(&mut **tx).await?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn whole(&self, stored: &Stored<V::Row>) -> Result<Whole, StoreError> {
        let filters: Filters = V::filters(&stored.row);
        let (since, reason) = stored.stale.clone().unzip();
        Ok((
            stored.number,
            stored.sequence,
            i64::from(V::is_gone(&stored.row)),
            filters.owner_id,
            filters.customer_id,
            filters.item_no,
            filters.reservation_no,
            filters.status.map(str::to_owned),
            since,
            reason,
            self.document(stored)?,
        ))
    }

    /// The beginning of a question for rows.
    pub(crate) fn select_sql(&self) -> String {
        format!("SELECT {RAW} FROM {}", self.name)
    }

    /// Reads a row of the table.
    pub(crate) fn read(&self, raw: Raw) -> Result<Stored<V::Row>, StoreError> {
        let (number, sequence, since, reason, document) = raw;
        let row = serde_json::from_str(&document).map_err(|error| {
            StoreError::Corrupt(format!("row {number} of {} can't be read: {error}", self.name))
        })?;
        Ok(Stored { number, sequence, stale: since.zip(reason), row })
    }

    fn document(&self, stored: &Stored<V::Row>) -> Result<String, StoreError> {
        serde_json::to_string(&stored.row).map_err(|error| {
            let number = stored.number;
            StoreError::Corrupt(format!("row {number} of {} can't be kept: {error}", self.name))
        })
    }
}

/// The number of a row, and its columns or why they can't be read.
pub(crate) fn read_row<'r, R, T>(row: &'r R) -> Result<(i64, Result<T, String>), StoreError>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    T: FromRow<'r, R>,
{
    Ok((row.try_get(0)?, T::from_row(row).map_err(|error| error.to_string())))
}

/// What rows are written from on PostgreSQL: an array for each of [`COLUMNS`].
const FROM_ARRAYS: &str = "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], \
    $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::bigint[], \
    $10::text[], $11::text[])";

/// What they are written from on SQLite: an array of rows.
const FROM_JSON: &str = "SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, \
    value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10 \
    FROM json_each($1) WHERE true";

fn json(values: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(values).map_err(|error| StoreError::Rejected(error.to_string()))
}

const UPSERT: &str = "ON CONFLICT (no) DO UPDATE SET sequence = excluded.sequence, \
    gone = excluded.gone, owner_id = excluded.owner_id, customer_id = excluded.customer_id, \
    item_no = excluded.item_no, reservation_no = excluded.reservation_no, \
    status = excluded.status, stale_since = excluded.stale_since, \
    stale_reason = excluded.stale_reason, doc = excluded.doc";
