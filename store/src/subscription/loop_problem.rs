//! Why a loop is blocked, for operators that look from another process. A row is stored as long as the loop is
//! blocked; the process that runs the loop writes and removes it.

use crate::db::Db;
use crate::error::StoreError;
use crate::{on_db, on_tx};

/// The blocked loops of one database.
#[derive(Clone, Debug)]
pub struct LoopProblems(Db);

/// Why a loop is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopProblem {
    /// The subscription.
    pub subscription: String,
    /// Why, in words.
    pub problem: String,
    /// Since when, in microseconds.
    pub since: i64,
}

impl LoopProblems {
    /// The blocked loops that are noted in `db`.
    pub const fn new(db: Db) -> Self {
        Self(db)
    }

    /// Notes why a loop is blocked; the time of the first note is kept.
    pub async fn put(&self, subscription: &str, problem: &str) -> Result<(), StoreError> {
        let mut tx = self.0.begin().await?;
        let sql = format!(
            "INSERT INTO loop_problems (subscription, problem, since) VALUES ($1, $2, {}) \
             ON CONFLICT (subscription) DO UPDATE SET problem = excluded.problem",
            tx.now()
        );
        on_tx!(&mut tx, connection => {
            sqlx::query(&sql).bind(subscription).bind(problem).execute(connection).await.map(drop)
        })?;
        tx.commit().await
    }

    /// Removes the note: the loop continues.
    pub async fn clear(&self, subscription: &str) -> Result<(), StoreError> {
        let mut tx = self.0.begin().await?;
        let sql = "DELETE FROM loop_problems WHERE subscription = $1";
        on_tx!(&mut tx, connection => {
            sqlx::query(sql).bind(subscription).execute(connection).await.map(drop)
        })?;
        tx.commit().await
    }

    /// All that are noted.
    pub async fn all(&self) -> Result<Vec<LoopProblem>, StoreError> {
        let sql = "SELECT subscription, problem, since FROM loop_problems ORDER BY subscription";
        let rows: Vec<(String, String, i64)> = on_db!(&self.0, pool => {
            sqlx::query_as(sql).fetch_all(pool).await
        })?;
        let problem = |(subscription, problem, since)| LoopProblem { subscription, problem, since };
        Ok(rows.into_iter().map(problem).collect())
    }
}
