//! Deadlines: rows that survive restarts and are due by the database's clock.
//!
//! A manager has one deadline per key. Rows are written and removed in the transaction of the reaction that changes
//! them. Each belongs to the subscription whose event set it: `manager`, or `manager@service`.

mod blocked;

pub use blocked::{BlockedDeadline, DeadlineOutcome, Postponed};

use crate::db::from_row::from_row;
use crate::db::{Db, Tx};
use crate::error::StoreError;
use crate::{on_db, on_tx};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Changes of deadlines, by key: set, or removed.
pub type Changes = BTreeMap<String, Option<Deadline>>;

/// The deadlines of one database.
#[derive(Clone, Debug)]
pub struct Deadlines(Db);

/// One deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// Its key among the manager's deadlines.
    pub key: String,
    /// When it is due, in microseconds.
    pub due_at: i64,
    /// The JSON that its manager needs then.
    pub payload: String,
}

from_row!(Deadline: key, due_at, payload);

impl Deadlines {
    /// The deadlines that live in `db`.
    pub const fn new(db: Db) -> Self {
        Self(db)
    }

    /// Sets deadlines, in place of those of the same keys, and removes others.
    pub async fn change(tx: &mut Tx, manager: &str, changes: &Changes) -> Result<(), StoreError> {
        let forgotten = changes.iter().filter(|(_, change)| change.is_none());
        let forgotten: Vec<&str> = forgotten.map(|(key, _)| key.as_str()).collect();
        if !forgotten.is_empty() {
            forget(tx, manager, &forgotten).await?;
        }
        let set: Vec<&Deadline> = changes.values().flatten().collect();
        if set.is_empty() { Ok(()) } else { put(tx, manager, &set).await }
    }

    /// Removes a deadline that fired, unless it was set again meanwhile; returns whether it was there.
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

    /// Which of these keys of a manager have a deadline.
    pub(crate) async fn present(
        tx: &mut Tx,
        manager: &str,
        keys: &[&str],
    ) -> Result<BTreeSet<String>, StoreError> {
        let found: Vec<String> = match tx {
            Tx::Postgres(tx) => {
                let sql = "SELECT key FROM deadlines WHERE manager = $1 AND key = ANY($2)";
                sqlx::query_scalar(sql).bind(manager).bind(keys).fetch_all(&mut **tx).await?
            }
            Tx::Sqlite(tx) => {
                let sql = "SELECT key FROM deadlines WHERE manager = $1 \
                           AND key IN (SELECT value FROM json_each($2))";
                let query = sqlx::query_scalar(sql).bind(manager).bind(json(&keys)?);
                query.fetch_all(&mut **tx).await?
            }
        };
        Ok(found.into_iter().collect())
    }

    /// The first deadlines that are due.
    pub async fn due(&self, manager: &str, limit: u32) -> Result<Vec<Deadline>, StoreError> {
        let now = self.0.now();
        let sql = format!(
            "SELECT key, due_at, payload FROM deadlines WHERE manager = $1 AND due_at <= {now} \
             ORDER BY due_at, key LIMIT $2"
        );
        Ok(on_db!(&self.0, pool => {
            sqlx::query_as(&sql).bind(manager).bind(i64::from(limit)).fetch_all(pool).await
        })?)
    }

    /// All deadlines of a manager, by key; for operators and tests.
    pub async fn all(&self, manager: &str) -> Result<Vec<Deadline>, StoreError> {
        let sql = "SELECT key, due_at, payload FROM deadlines WHERE manager = $1 ORDER BY key";
        Ok(on_db!(&self.0, pool => sqlx::query_as(sql).bind(manager).fetch_all(pool).await)?)
    }
}

// Arrays, so that each of the two is one prepared statement, whatever the number of deadlines.

async fn forget(tx: &mut Tx, manager: &str, keys: &[&str]) -> Result<(), StoreError> {
    match tx {
        Tx::Postgres(tx) => {
            let sql = "DELETE FROM deadlines WHERE manager = $1 AND key = ANY($2)";
            sqlx::query(sql).bind(manager).bind(keys).execute(&mut **tx).await?;
        }
        Tx::Sqlite(tx) => {
            let sql = "DELETE FROM deadlines WHERE manager = $1 \
                       AND key IN (SELECT value FROM json_each($2))";
            sqlx::query(sql).bind(manager).bind(json(&keys)?).execute(&mut **tx).await?;
        }
    }
    Ok(())
}

async fn put(tx: &mut Tx, manager: &str, set: &[&Deadline]) -> Result<(), StoreError> {
    const REPLACE: &str = "ON CONFLICT (manager, key) DO UPDATE \
                           SET due_at = excluded.due_at, payload = excluded.payload";
    match tx {
        Tx::Postgres(tx) => {
            let sql = format!(
                "INSERT INTO deadlines (manager, key, due_at, payload) SELECT $1, d.* \
                 FROM unnest($2::text[], $3::bigint[], $4::text[]) AS d {REPLACE}"
            );
            let keys: Vec<&str> = set.iter().map(|deadline| deadline.key.as_str()).collect();
            let due: Vec<i64> = set.iter().map(|deadline| deadline.due_at).collect();
            let payloads: Vec<&str> = set.iter().map(|d| d.payload.as_str()).collect();
            let query = sqlx::query(&sql).bind(manager).bind(keys).bind(due).bind(payloads);
            query.execute(&mut **tx).await?;
        }
        Tx::Sqlite(tx) => {
            let sql = format!(
                "INSERT INTO deadlines (manager, key, due_at, payload) \
                 SELECT $1, value ->> 0, value ->> 1, value ->> 2 FROM json_each($2) \
                 WHERE true {REPLACE}"
            );
            let rows = set.iter().map(|d| (d.key.as_str(), d.due_at, d.payload.as_str()));
            let rows = json(&rows.collect::<Vec<_>>())?;
            sqlx::query(&sql).bind(manager).bind(rows).execute(&mut **tx).await?;
        }
    }
    Ok(())
}

fn json(rows: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|error| StoreError::Rejected(error.to_string()))
}
