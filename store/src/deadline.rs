//! What waits for its time: rows that survive restarts, due by the database's clock.
//!
//! A manager has one deadline per key. Rows are written and removed in the transaction of whatever
//! they follow from.

use crate::db::{Db, Tx};
use crate::error::StoreError;
use crate::{on_db, on_tx};
use sqlx::QueryBuilder;
use std::collections::BTreeMap;

/// Rows per statement: well below the engines' limits of bound values.
const CHUNK: usize = 500;

/// What becomes of deadlines, by key: set, or forgotten.
pub type Changes = BTreeMap<String, Option<Deadline>>;

/// The deadlines of one database.
#[derive(Clone, Debug)]
pub struct Deadlines(Db);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// Tells it apart from the manager's others.
    pub key: String,
    /// When it is due, in microseconds.
    pub due_at: i64,
    /// What its manager must know by then: JSON.
    pub payload: String,
}

/// A deadline as the table has it.
type Row = (String, i64, String);

impl From<Row> for Deadline {
    fn from((key, due_at, payload): Row) -> Self {
        Self { key, due_at, payload }
    }
}

impl Deadlines {
    /// The deadlines that live in `db`.
    pub const fn new(db: Db) -> Self {
        Self(db)
    }

    /// Sets deadlines, in place of those of the same keys, and forgets others.
    pub async fn change(tx: &mut Tx, manager: &str, changes: &Changes) -> Result<(), StoreError> {
        let forgotten = changes.iter().filter(|(_, change)| change.is_none());
        let forgotten: Vec<&String> = forgotten.map(|(key, _)| key).collect();
        for chunk in forgotten.chunks(CHUNK) {
            on_tx!(&mut *tx, connection => {
                let mut query = QueryBuilder::new("DELETE FROM deadlines WHERE manager = ");
                query.push_bind(manager).push(" AND key IN (");
                let mut list = query.separated(", ");
                for key in chunk {
                    list.push_bind(key.as_str());
                }
                query.push(")");
                query.build().persistent(false).execute(connection).await.map(drop)
            })?;
        }
        let set: Vec<&Deadline> = changes.values().flatten().collect();
        for chunk in set.chunks(CHUNK) {
            on_tx!(&mut *tx, connection => {
                let mut query =
                    QueryBuilder::new("INSERT INTO deadlines (manager, key, due_at, payload) ");
                query.push_values(chunk, |mut row, deadline| {
                    row.push_bind(manager)
                        .push_bind(deadline.key.as_str())
                        .push_bind(deadline.due_at)
                        .push_bind(deadline.payload.as_str());
                });
                query.push(
                    " ON CONFLICT (manager, key) DO UPDATE \
                     SET due_at = excluded.due_at, payload = excluded.payload",
                );
                query.build().persistent(false).execute(connection).await.map(drop)
            })?;
        }
        Ok(())
    }

    /// Forgets a deadline that fired, unless it was set anew meanwhile; says whether it was there.
    pub async fn fired(
        tx: &mut Tx,
        manager: &str,
        deadline: &Deadline,
    ) -> Result<bool, StoreError> {
        let gone = on_tx!(tx, connection => {
            sqlx::query("DELETE FROM deadlines WHERE manager = $1 AND key = $2 AND due_at = $3")
                .bind(manager)
                .bind(&deadline.key)
                .bind(deadline.due_at)
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
        })?;
        Ok(gone == 1)
    }

    /// The first deadlines that are due.
    pub async fn due(&self, manager: &str, limit: u32) -> Result<Vec<Deadline>, StoreError> {
        let now = self.0.now();
        let sql = format!(
            "SELECT key, due_at, payload FROM deadlines WHERE manager = $1 AND due_at <= {now} \
             ORDER BY due_at, key LIMIT $2"
        );
        let rows: Vec<Row> = on_db!(&self.0, pool => {
            sqlx::query_as(&sql).bind(manager).bind(i64::from(limit)).fetch_all(pool).await
        })?;
        Ok(rows.into_iter().map(Deadline::from).collect())
    }

    /// All that a manager waits for, by key; for operators and tests.
    pub async fn all(&self, manager: &str) -> Result<Vec<Deadline>, StoreError> {
        let rows: Vec<Row> = on_db!(&self.0, pool => {
            sqlx::query_as(
                "SELECT key, due_at, payload FROM deadlines WHERE manager = $1 ORDER BY key",
            )
            .bind(manager)
            .fetch_all(pool)
            .await
        })?;
        Ok(rows.into_iter().map(Deadline::from).collect())
    }
}
