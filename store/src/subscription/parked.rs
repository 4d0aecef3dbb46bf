//! Keys of a subscription that are parked: they wait for a retry or for manual action, with the positions that queue
//! behind them. All other keys of the subscription continue.
//!
//! `retrying` is retried by itself, at a time on the database's clock; `parked` only on request.

mod dropped;
mod queries;

use crate::db::{Db, Tx};
use crate::error::StoreError;
use crate::on_tx;
use std::time::Duration;

pub use dropped::Dropped;
pub use queries::NextTry;

/// The parked keys of one database.
#[derive(Clone, Debug)]
pub struct ParkedKeys(Db);

/// One parked key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The key.
    pub key: String,
    /// [`Parked::RETRYING`] or [`Parked::PARKED`].
    pub state: String,
    /// Why.
    pub reason: String,
    /// The position of the event that couldn't be processed.
    pub since_position: i64,
    /// When that event was recorded, in microseconds.
    pub since_time: i64,
    /// How often it was tried.
    pub attempts: i64,
}

impl Parked {
    /// The key is retried by itself.
    pub const RETRYING: &str = "retrying";
    /// The key is retried on request.
    pub const PARKED: &str = "parked";
}

impl ParkedKeys {
    /// The parked keys that live in `db`.
    pub const fn new(db: Db) -> Self {
        Self(db)
    }

    /// Parks a key, or updates where and why it is parked. A key that is retrying is due after `pause`.
    pub async fn park(
        tx: &mut Tx,
        subscription: &str,
        parked: &Parked,
        pause: Duration,
    ) -> Result<(), StoreError> {
        let pause = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX / 2);
        let now = tx.now();
        let sql = format!(
            "INSERT INTO parked (subscription, key, state, reason, since_position, since_time, \
             attempts, next_try_at) VALUES ($1, $2, $3, $4, $5, $6, $7, {now} + $8) \
             ON CONFLICT (subscription, key) DO UPDATE SET state = excluded.state, \
             reason = excluded.reason, since_position = excluded.since_position, \
             since_time = excluded.since_time, attempts = excluded.attempts, \
             next_try_at = excluded.next_try_at"
        );
        Ok(on_tx!(tx, connection => {
            sqlx::query(&sql)
                .bind(subscription)
                .bind(&parked.key)
                .bind(&parked.state)
                .bind(&parked.reason)
                .bind(parked.since_position)
                .bind(parked.since_time)
                .bind(parked.attempts)
                .bind(pause)
                .execute(connection)
                .await
                .map(drop)
        })?)
    }

    /// Queues an event behind its key; the key must be parked in the same transaction, or have been parked before
    /// without another process that unparks it.
    pub async fn queue(
        tx: &mut Tx,
        subscription: &str,
        key: &str,
        position: i64,
    ) -> Result<(), StoreError> {
        Ok(on_tx!(tx, connection => {
            sqlx::query(
                "INSERT INTO parked_events (subscription, key, position) VALUES ($1, $2, $3) \
                 ON CONFLICT (subscription, key, position) DO NOTHING",
            )
            .bind(subscription)
            .bind(key)
            .bind(position)
            .execute(connection)
            .await
            .map(drop)
        })?)
    }

    /// Removes a processed event from the queue; `false` if it wasn't there any more.
    pub async fn dequeue(
        tx: &mut Tx,
        subscription: &str,
        key: &str,
        position: i64,
    ) -> Result<bool, StoreError> {
        Ok(on_tx!(tx, connection => {
            sqlx::query(
                "DELETE FROM parked_events \
                 WHERE subscription = $1 AND key = $2 AND position = $3",
            )
            .bind(subscription)
            .bind(key)
            .bind(position)
            .execute(connection)
            .await
            .map(|done| done.rows_affected() > 0)
        })?)
    }

    /// Whether an event is still in the queue; it then stays there until `tx` ends.
    pub async fn keep_queued(
        tx: &mut Tx,
        subscription: &str,
        key: &str,
        position: i64,
    ) -> Result<bool, StoreError> {
        Ok(on_tx!(tx, connection => {
            sqlx::query(
                "UPDATE parked_events SET position = position \
                 WHERE subscription = $1 AND key = $2 AND position = $3",
            )
            .bind(subscription)
            .bind(key)
            .bind(position)
            .execute(connection)
            .await
            .map(|kept| kept.rows_affected() > 0)
        })?)
    }

    /// Unparks the key if no event queues behind it any more; returns whether it did.
    pub async fn unpark(tx: &mut Tx, subscription: &str, key: &str) -> Result<bool, StoreError> {
        let gone = on_tx!(tx, connection => {
            sqlx::query(
                "DELETE FROM parked WHERE subscription = $1 AND key = $2 AND NOT EXISTS \
                 (SELECT 1 FROM parked_events e WHERE e.subscription = $1 AND e.key = $2)",
            )
            .bind(subscription)
            .bind(key)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
        })?;
        Ok(gone == 1)
    }

    /// Requests a retry of one key, from the end of `tx` on.
    pub async fn request_retry_in(
        tx: &mut Tx,
        subscription: &str,
        key: &str,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE parked SET state = 'retrying', next_try_at = 0 \
                   WHERE subscription = $1 AND key = $2";
        Ok(on_tx!(tx, connection => {
            sqlx::query(sql).bind(subscription).bind(key).execute(connection).await.map(drop)
        })?)
    }

    /// Requests a retry of a key; `None` means every key but those that were dropped. Returns how many those are.
    pub async fn request_retry(
        &self,
        subscription: &str,
        key: Option<&str>,
    ) -> Result<u64, StoreError> {
        let mut tx = self.0.begin().await?;
        let requested = on_tx!(&mut tx, connection => {
            sqlx::query(
                "UPDATE parked SET state = 'retrying', next_try_at = 0 WHERE subscription = $1 \
                 AND (key = $2 OR $2 IS NULL AND NOT EXISTS (SELECT 1 FROM dropped d WHERE \
                 d.subscription = $1 AND d.key = parked.key AND d.position = since_position))",
            )
            .bind(subscription)
            .bind(key)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
        })?;
        tx.commit().await?;
        Ok(requested)
    }

    /// Parks exactly these keys of a subscription and no others.
    pub async fn replace(
        tx: &mut Tx,
        subscription: &str,
        parked: &[Parked],
    ) -> Result<(), StoreError> {
        on_tx!(&mut *tx, connection => {
            for table in ["parked", "parked_events"] {
                let sql = format!("DELETE FROM {table} WHERE subscription = $1");
                sqlx::query(&sql).bind(subscription).execute(&mut *connection).await?;
            }
        });
        for parked in parked {
            Self::park(tx, subscription, parked, Duration::ZERO).await?;
        }
        Ok(())
    }

    /// The database that they live in.
    pub const fn db(&self) -> &Db {
        &self.0
    }
}
