//! A view's table: one row per stream, created by the build of the view.
//!
//! The name of a table contains the view's version, and that of a build its generation too, so that a new
//! version or a rebuild never shares a table with the served view. The columns are those that the view
//! declares; the row of the fold is one document.

mod bulk;
mod leftovers;
mod stale;

pub use stale::Stale;
pub(crate) use stale::StaleMark;

use crate::engine::view::{Column, View};
use gdmarket_store::{Db, NumberedRow, PageQuery, RowDocument, RowTable, StoreError, TableRow, Tx};
use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;

/// The served table of a view, or the table of a build.
#[derive(Debug)]
pub(crate) struct ViewTable<V> {
    rows: RowTable,
    view: PhantomData<fn() -> V>,
}

/// A row with the state of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored<R> {
    /// The stream's number.
    pub(crate) number: i64,
    /// The sequence of the last event that is applied to the row.
    pub(crate) sequence: i64,
    /// Since when (in microseconds) and why the row is stale.
    pub(crate) stale: Option<StaleMark>,
    /// The row.
    pub(crate) row: R,
}

impl<R: Default> Stored<R> {
    /// The row before the stream's first event.
    pub(crate) fn new(number: i64) -> Self {
        Self { number, sequence: 0, stale: None, row: R::default() }
    }
}

/// The result of reading rows by number.
#[derive(Debug)]
pub(crate) struct FoundRows<R> {
    /// The rows that were found, by number.
    pub(crate) rows: HashMap<i64, Stored<R>>,
    /// The reason for each row that can't be read.
    pub(crate) broken: BTreeMap<i64, String>,
}

impl<V: View> ViewTable<V> {
    /// The served table.
    pub(crate) fn served() -> Self {
        Self::named(format!("view_{}", V::subscription()))
    }

    /// The table of a build until it is served. Its name contains the generation and the epoch of the
    /// build's lease, so that no two builds ever share a table.
    pub(crate) fn build(generation: i64, epoch: i64) -> Self {
        Self::named(format!("view_{}_g{generation}_{epoch}", V::subscription()))
    }

    fn named(name: String) -> Self {
        let columns = V::COLUMNS.iter().map(Column::of_table);
        Self { rows: RowTable::new(name, columns), view: PhantomData }
    }

    /// The name of the table.
    pub(crate) fn name(&self) -> &str {
        self.rows.name()
    }

    /// The table itself, whose rows have the columns of the view but not its type.
    pub(crate) const fn rows(&self) -> &RowTable {
        &self.rows
    }

    /// Reads the rows of these streams from the table of a build, by number; a stream without events has
    /// none. A row that can't be read is an error, since the build wrote it. A served row may be damaged:
    /// use [`ViewTable::look_up`] there.
    pub(crate) async fn load(
        &self,
        db: &Db,
        numbers: &[i64],
    ) -> Result<HashMap<i64, Stored<V::Row>>, StoreError> {
        let FoundRows { rows, broken } = self.look_up(db, numbers).await?;
        broken.into_values().next().map_or(Ok(rows), |why| Err(StoreError::Corrupt(why)))
    }

    /// As [`ViewTable::load`], but also returns which rows can't be read.
    pub(crate) async fn look_up(
        &self,
        db: &Db,
        numbers: &[i64],
    ) -> Result<FoundRows<V::Row>, StoreError> {
        let mut found =
            FoundRows { rows: HashMap::with_capacity(numbers.len()), broken: BTreeMap::new() };
        if numbers.is_empty() {
            return Ok(found);
        }
        for (number, document) in self.rows.look_up(db, numbers).await? {
            match self.decode((number, document)) {
                Ok(stored) => drop(found.rows.insert(number, stored)),
                Err(why) => drop(found.broken.insert(number, why)),
            }
        }
        Ok(found)
    }

    /// Reads a page of the rows that are shown; for a row that can't be read, the reason.
    pub(crate) async fn page(
        &self,
        db: &Db,
        page: &PageQuery<'_>,
    ) -> Result<Vec<NumberedRow<Stored<V::Row>>>, StoreError> {
        let found = self.rows.page(db, page).await?.into_iter();
        Ok(found.map(|(number, document)| (number, self.decode((number, document)))).collect())
    }

    /// Decodes a row of the table, or gives the reason why it can't be read.
    fn decode(
        &self,
        (number, document): NumberedRow<RowDocument>,
    ) -> Result<Stored<V::Row>, String> {
        let why = match document.map(|document| self.read(document)) {
            Ok(Ok(stored)) => return Ok(stored),
            Ok(Err(error)) => error.to_string(),
            Err(why) => format!("row {number} of {} can't be read: {why}", self.name()),
        };
        Err(why)
    }

    /// Writes rows, each at most once.
    pub(crate) async fn write(
        &self,
        tx: &mut Tx,
        rows: &[&Stored<V::Row>],
    ) -> Result<(), StoreError> {
        let rows: Result<Vec<TableRow>, _> = rows.iter().map(|stored| self.whole(stored)).collect();
        self.rows.write(tx, &rows?).await
    }

    /// Converts a row to the form of the table.
    pub(crate) fn whole(&self, stored: &Stored<V::Row>) -> Result<TableRow, StoreError> {
        let (stale_since, stale_reason) =
            stored.stale.clone().map(|stale| (stale.since, stale.reason)).unzip();
        Ok(TableRow {
            number: stored.number,
            sequence: stored.sequence,
            gone: i64::from(V::is_gone(&stored.row)),
            fields: V::COLUMNS.iter().map(|column| column.field(&stored.row)).collect(),
            stale_since,
            stale_reason,
            document: self.document(stored)?,
        })
    }

    /// Reads a row from the form of the table.
    pub(crate) fn read(&self, row: RowDocument) -> Result<Stored<V::Row>, StoreError> {
        let RowDocument { number, sequence, stale_since, stale_reason, document } = row;
        let row = serde_json::from_str(&document).map_err(|error| {
            StoreError::Corrupt(format!("row {number} of {} can't be read: {error}", self.name()))
        })?;
        let stale =
            stale_since.zip(stale_reason).map(|(since, reason)| StaleMark { since, reason });
        Ok(Stored { number, sequence, stale, row })
    }

    fn document(&self, stored: &Stored<V::Row>) -> Result<String, StoreError> {
        serde_json::to_string(&stored.row).map_err(|error| {
            let number = stored.number;
            StoreError::Corrupt(format!("row {number} of {} can't be stored: {error}", self.name()))
        })
    }

    /// Replaces the served table when `tx` commits.
    pub(crate) async fn serve(&self, tx: &mut Tx) -> Result<(), StoreError> {
        self.rows.take_place_of(tx, &Self::served().rows).await
    }
}
