//! Deadlines whose reaction was refused: when they are retried, and their list for operators.

use super::{Deadline, Deadlines};
use crate::db::Tx;
use crate::db::from_row::from_row;
use crate::error::StoreError;
use crate::{on_db, on_tx};
use std::time::Duration;

/// A deadline whose last reaction was refused. It is retried by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedDeadline {
    /// The manager that set it.
    pub manager: String,
    /// Its key among the manager's deadlines.
    pub key: String,
    /// The JSON that its manager needs.
    pub payload: String,
    /// Why it was refused.
    pub problem: String,
    /// How often it was tried.
    pub attempts: i64,
}

from_row!(BlockedDeadline: manager, key, payload, problem, attempts);

/// How a deadline that fired is due again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postponed {
    /// How long from now, by the database's clock.
    pub pause: Duration,
    /// The JSON that its manager needs then.
    pub payload: String,
    /// The outcome of this time.
    pub tried: DeadlineOutcome,
}

/// The outcome of a deadline that fired and is due again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadlineOutcome {
    /// It was done.
    Done,
    /// It couldn't be tried now; its problem stays noted.
    NotNow,
    /// It was refused, for this reason, and needs manual action.
    Refused(String),
}

impl Deadlines {
    /// Lets a deadline that fired fire again later, unless it was set again or removed meanwhile.
    pub async fn postpone(
        tx: &mut Tx,
        manager: &str,
        deadline: &Deadline,
        postponed: &Postponed,
    ) -> Result<(), StoreError> {
        let pause = i64::try_from(postponed.pause.as_micros()).unwrap_or(i64::MAX / 2);
        let sql = format!(
            "UPDATE deadlines SET due_at = {} + $4, payload = $5 \
             WHERE manager = $1 AND key = $2 AND due_at = $3 RETURNING due_at",
            tx.now()
        );
        let due_at: Option<i64> = on_tx!(&mut *tx, connection => {
            let query = sqlx::query_scalar(&sql).bind(manager).bind(&deadline.key);
            let query = query.bind(deadline.due_at).bind(pause).bind(&postponed.payload);
            query.fetch_optional(connection).await?
        });
        let Some(due_at) = due_at else { return Ok(()) };
        let of = Rescheduled { manager, key: &deadline.key, before: deadline.due_at, due_at };
        match &postponed.tried {
            DeadlineOutcome::Done => forget_problem(tx, manager, &deadline.key).await,
            DeadlineOutcome::NotNow => keep_problem(tx, of).await,
            DeadlineOutcome::Refused(why) => note_problem(tx, of, why).await,
        }
    }

    /// The blocked deadlines of all managers, or of one.
    pub async fn blocked(&self, manager: Option<&str>) -> Result<Vec<BlockedDeadline>, StoreError> {
        let sql = "SELECT p.manager, p.key, d.payload, p.problem, p.attempts \
                   FROM deadline_problems p JOIN deadlines d USING (manager, key, due_at) \
                   WHERE CAST($1 AS text) IS NULL OR p.manager = $1 ORDER BY p.manager, p.key";
        Ok(on_db!(&self.0, pool => sqlx::query_as(sql).bind(manager).fetch_all(pool).await)?)
    }

    /// Requests an immediate retry of a blocked deadline.
    pub async fn retry(&self, manager: &str, key: &str) -> Result<(), StoreError> {
        let mut tx = self.0.begin().await?;
        let now = tx.now();
        on_tx!(&mut tx, connection => {
            let due = format!(
                "UPDATE deadlines SET due_at = {now} WHERE manager = $1 AND key = $2 AND {BLOCKED} \
                 RETURNING due_at"
            );
            let query = sqlx::query_scalar(&due).bind(manager).bind(key);
            let due_at: Option<i64> = query.fetch_optional(&mut *connection).await?;
            if let Some(due_at) = due_at {
                let sql = "UPDATE deadline_problems SET due_at = $3 \
                           WHERE manager = $1 AND key = $2";
                let query = sqlx::query(sql).bind(manager).bind(key).bind(due_at);
                query.execute(connection).await?;
            }
        });
        tx.commit().await
    }

    /// Drops a blocked deadline; `false` if it isn't blocked any more.
    pub async fn drop_blocked(tx: &mut Tx, manager: &str, key: &str) -> Result<bool, StoreError> {
        let sql = format!("DELETE FROM deadlines WHERE manager = $1 AND key = $2 AND {BLOCKED}");
        let gone = on_tx!(&mut *tx, connection => {
            let query = sqlx::query(&sql).bind(manager).bind(key).execute(connection);
            query.await.map(|done| done.rows_affected())
        })?;
        forget_problem(tx, manager, key).await?;
        Ok(gone == 1)
    }
}

/// Whether a row of `deadlines` is blocked.
const BLOCKED: &str = "EXISTS (SELECT 1 FROM deadline_problems p WHERE p.manager = deadlines.manager \
    AND p.key = deadlines.key AND p.due_at = deadlines.due_at)";

/// A deadline with a new time.
#[derive(Clone, Copy)]
struct Rescheduled<'a> {
    manager: &'a str,
    key: &'a str,
    /// When it was due before.
    before: i64,
    due_at: i64,
}

async fn forget_problem(tx: &mut Tx, manager: &str, key: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM deadline_problems WHERE manager = $1 AND key = $2";
    Ok(on_tx!(tx, connection => {
        sqlx::query(sql).bind(manager).bind(key).execute(connection).await.map(drop)
    })?)
}

async fn keep_problem(tx: &mut Tx, of: Rescheduled<'_>) -> Result<(), StoreError> {
    let sql = "UPDATE deadline_problems SET due_at = $4 \
               WHERE manager = $1 AND key = $2 AND due_at = $3";
    Ok(on_tx!(tx, connection => {
        let query = sqlx::query(sql).bind(of.manager).bind(of.key).bind(of.before).bind(of.due_at);
        query.execute(connection).await.map(drop)
    })?)
}

/// Notes why it was refused. Rows of deadlines that were set again or removed are deleted.
async fn note_problem(tx: &mut Tx, of: Rescheduled<'_>, why: &str) -> Result<(), StoreError> {
    let note = "INSERT INTO deadline_problems (manager, key, due_at, problem, attempts) \
                VALUES ($1, $2, $3, $4, 1) ON CONFLICT (manager, key) DO UPDATE SET \
                due_at = excluded.due_at, problem = excluded.problem, attempts = CASE \
                WHEN deadline_problems.due_at = $5 THEN deadline_problems.attempts + 1 ELSE 1 END";
    let prune = "DELETE FROM deadline_problems WHERE manager = $1 AND NOT EXISTS \
                 (SELECT 1 FROM deadlines d WHERE d.manager = deadline_problems.manager \
                 AND d.key = deadline_problems.key AND d.due_at = deadline_problems.due_at)";
    on_tx!(tx, connection => {
        let query = sqlx::query(note).bind(of.manager).bind(of.key).bind(of.due_at);
        query.bind(why).bind(of.before).execute(&mut *connection).await?;
        sqlx::query(prune).bind(of.manager).execute(connection).await?;
    });
    Ok(())
}
