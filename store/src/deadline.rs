//! What waits for its time: rows that survive restarts, due by the database's clock.
//!
//! A manager has one deadline per key. Rows are written and removed in the transaction of whatever
//! they follow from.

use crate::db::{Db, Tx};
use crate::error::StoreError;
use crate::{on_db, on_tx};

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

    /// Sets a deadline; one of the same key is replaced.
    pub async fn set(tx: &mut Tx, manager: &str, deadline: &Deadline) -> Result<(), StoreError> {
        Ok(on_tx!(tx, connection => {
            sqlx::query(
                "INSERT INTO deadlines (manager, key, due_at, payload) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (manager, key) DO UPDATE \
                 SET due_at = excluded.due_at, payload = excluded.payload",
            )
            .bind(manager)
            .bind(&deadline.key)
            .bind(deadline.due_at)
            .bind(&deadline.payload)
            .execute(connection)
            .await
            .map(drop)
        })?)
    }

    /// Forgets a deadline, if there is one.
    pub async fn clear(tx: &mut Tx, manager: &str, key: &str) -> Result<(), StoreError> {
        Ok(on_tx!(tx, connection => {
            sqlx::query("DELETE FROM deadlines WHERE manager = $1 AND key = $2")
                .bind(manager)
                .bind(key)
                .execute(connection)
                .await
                .map(drop)
        })?)
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
