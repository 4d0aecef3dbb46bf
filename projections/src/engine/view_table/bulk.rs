//! Writing many rows at once, for a build: by COPY on PostgreSQL, by statements of many rows on SQLite.

use super::{COLUMNS, Stored, UPSERT, ViewTable, Whole};
use crate::engine::throttle::Throttle;
use crate::engine::view::{Filters, View};
use gdmarket_store::{CopyIn, Db, StoreError, Tx};
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, PgConnection, SqliteConnection};
use std::collections::HashSet;
use tokio::time::Instant;

/// Rows of one transaction while commands come in: they run between two transactions.
const FEW: usize = 200;
/// Rows of one transaction on a quiet market.
const MANY: usize = 10_000;
/// Rows of one statement on SQLite, each with a parameter for every column.
const BOUND: usize = 250;

/// The parameters of one statement.
type Bound = SqliteArguments<'static>;

impl<V: View> ViewTable<V> {
    /// Writes rows of a build, `replaced` those that the table has already; commands go first.
    pub(crate) async fn write_many(
        &self,
        db: &Db,
        (mut rows, replaced): (&[&Stored<V::Row>], &HashSet<i64>),
        throttle: &Throttle,
    ) -> Result<(), StoreError> {
        while !rows.is_empty() {
            let began = Instant::now();
            let most = if throttle.is_active() { FEW } else { MANY };
            let (part, rest) = rows.split_at(most.min(rows.len()));
            rows = rest;
            // On SQLite they are ready before its one writer is held: others write meanwhile.
            let ready = if db.is_postgres() { vec![] } else { self.bind_all(part)? };
            let mut tx = db.begin().await?;
            match &mut tx {
                Tx::Postgres(connection) => {
                    let numbers = part.iter().map(|stored| stored.number);
                    let again: Vec<i64> =
                        numbers.filter(|number| replaced.contains(number)).collect();
                    self.delete(connection, &again).await?;
                    self.copy(connection, part).await?;
                }
                Tx::Sqlite(connection) => {
                    for (rows, bound) in ready {
                        self.insert(connection, rows, bound).await?;
                    }
                }
            }
            tx.commit().await?;
            throttle.pause_after(began).await;
        }
        Ok(())
    }

    async fn delete(
        &self,
        connection: &mut PgConnection,
        numbers: &[i64],
    ) -> Result<(), StoreError> {
        if !numbers.is_empty() {
            let sql = format!("DELETE FROM {} WHERE no = ANY($1)", self.name);
            sqlx::query(&sql).bind(numbers).persistent(false).execute(connection).await?;
        }
        Ok(())
    }

    /// The rows of each statement and their number. Bound one by one: taken out of JSON, each value
    /// costs SQLite a look through its whole row.
    fn bind_all(&self, rows: &[&Stored<V::Row>]) -> Result<Vec<(usize, Bound)>, StoreError> {
        let statement = |rows: &[&Stored<V::Row>]| {
            let mut bound = Bound::default();
            bound.reserve(rows.len() * COLUMNS.split(',').count(), 0);
            for stored in rows {
                bind(&mut bound, self.whole(stored)?).map_err(sqlx::Error::Encode)?;
            }
            Ok((rows.len(), bound))
        };
        rows.chunks(BOUND).map(statement).collect()
    }

    async fn insert(
        &self,
        connection: &mut SqliteConnection,
        rows: usize,
        bound: Bound,
    ) -> Result<(), StoreError> {
        let values = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"; rows].join(", ");
        let sql = format!("INSERT INTO {} ({COLUMNS}) VALUES {values} {UPSERT}", self.name);
        sqlx::query_with(&sql, bound).execute(connection).await?;
        Ok(())
    }

    async fn copy(
        &self,
        connection: &mut PgConnection,
        rows: &[&Stored<V::Row>],
    ) -> Result<(), StoreError> {
        let mut copy = CopyIn::begin(connection, &self.name, COLUMNS).await?;
        for stored in rows {
            copy.row().await?;
            let gone = i64::from(V::is_gone(&stored.row));
            for number in [stored.number, stored.sequence, gone] {
                copy.number(number)?;
            }
            let filters: Filters = V::filters(&stored.row);
            let Filters { owner_id, customer_id, item_no, reservation_no, status } = filters;
            for number in [owner_id, customer_id, item_no, reservation_no] {
                copy.number(number)?;
            }
            copy.text(status)?;
            copy.number(stored.stale.as_ref().map(|(since, _)| *since))?;
            copy.text(stored.stale.as_ref().map(|(_, reason)| reason.as_str()))?;
            copy.document(&stored.row)?;
        }
        copy.finish().await
    }
}

fn bind(bound: &mut Bound, row: Whole) -> Result<(), BoxDynError> {
    let (number, sequence, gone, owner, customer, item, reservation, status, since, reason, doc) =
        row;
    for number in [number, sequence, gone] {
        bound.add(number)?;
    }
    for number in [owner, customer, item, reservation] {
        bound.add(number)?;
    }
    bound.add(status)?;
    bound.add(since)?;
    bound.add(reason)?;
    bound.add(doc)
}
