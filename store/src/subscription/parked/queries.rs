//! Queries for parked keys and the events that queue behind them.

use super::{Parked, ParkedKeys};
use crate::db::from_row::from_row;
use crate::error::StoreError;
use crate::on_db;
use sqlx::{FromRow as _, Row as _};

from_row!(Parked: key, state, reason, since_position, since_time, attempts);

/// When a parked key is retried by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextTry {
    /// The subscription.
    pub subscription: String,
    /// The key.
    pub key: String,
    /// When, in microseconds by the database's clock; a past time means at once.
    pub due_at: i64,
}

from_row!(NextTry: subscription, key, due_at);

const COLUMNS: &str = "key, state, reason, since_position, since_time, attempts";

impl ParkedKeys {
    /// All parked keys of a subscription.
    pub async fn all(&self, subscription: &str) -> Result<Vec<Parked>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM parked WHERE subscription = $1 ORDER BY key");
        Ok(on_db!(&self.0, pool => {
            sqlx::query_as(&sql).bind(subscription).fetch_all(pool).await
        })?)
    }

    /// How many keys of a subscription are parked.
    pub async fn count(&self, subscription: &str) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM parked WHERE subscription = $1";
        Ok(on_db!(&self.0, pool => {
            sqlx::query_scalar(sql).bind(subscription).fetch_one(pool).await
        })?)
    }

    /// The lowest position at which a key of a subscription is parked; `None` if none is.
    pub async fn first(&self, subscription: &str) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT min(since_position) FROM parked WHERE subscription = $1";
        Ok(on_db!(&self.0, pool => {
            sqlx::query_scalar(sql).bind(subscription).fetch_one(pool).await
        })?)
    }

    /// One parked key; `None` if it isn't parked.
    pub async fn find(&self, subscription: &str, key: &str) -> Result<Option<Parked>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM parked WHERE subscription = $1 AND key = $2");
        Ok(on_db!(&self.0, pool => {
            sqlx::query_as(&sql).bind(subscription).bind(key).fetch_optional(pool).await
        })?)
    }

    /// The parked keys of all subscriptions; of one name, if one is given.
    pub async fn everything(&self, key: Option<&str>) -> Result<Vec<(String, Parked)>, StoreError> {
        let sql = format!(
            "SELECT subscription, {COLUMNS} FROM parked \
             WHERE CAST($1 AS text) IS NULL OR key = $1 ORDER BY subscription, key"
        );
        on_db!(&self.0, pool => {
            let rows = sqlx::query(&sql).bind(key).fetch_all(pool).await?;
            let parked = rows.iter().map(|row| Ok((row.try_get("subscription")?, Parked::from_row(row)?)));
            parked.collect()
        })
    }

    /// When the keys of all subscriptions are retried that are retried by themselves.
    pub async fn next_tries(&self) -> Result<Vec<NextTry>, StoreError> {
        let sql = "SELECT subscription, key, next_try_at AS due_at FROM parked \
                   WHERE state = 'retrying' ORDER BY subscription, key";
        Ok(on_db!(&self.0, pool => sqlx::query_as(sql).fetch_all(pool).await)?)
    }

    /// The keys whose next retry is due, the one that waits longest first.
    pub async fn due(&self, subscription: &str, limit: u32) -> Result<Vec<Parked>, StoreError> {
        let now = self.0.now();
        let sql = format!(
            "SELECT {COLUMNS} FROM parked WHERE subscription = $1 AND state = 'retrying' \
             AND next_try_at <= {now} ORDER BY next_try_at, key LIMIT $2"
        );
        Ok(on_db!(&self.0, pool => {
            sqlx::query_as(&sql).bind(subscription).bind(i64::from(limit)).fetch_all(pool).await
        })?)
    }

    /// The first positions that queue behind a key, ascending.
    pub async fn queued(
        &self,
        subscription: &str,
        key: &str,
        limit: u32,
    ) -> Result<Vec<i64>, StoreError> {
        let rows: Vec<(i64,)> = on_db!(&self.0, pool => {
            sqlx::query_as(
                "SELECT position FROM parked_events WHERE subscription = $1 AND key = $2 \
                 ORDER BY position LIMIT $3",
            )
            .bind(subscription)
            .bind(key)
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await
        })?;
        Ok(rows.into_iter().map(|(position,)| position).collect())
    }

    /// How many events queue behind a key.
    pub async fn queue_length(&self, subscription: &str, key: &str) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM parked_events WHERE subscription = $1 AND key = $2";
        Ok(on_db!(&self.0, pool => {
            sqlx::query_scalar(sql).bind(subscription).bind(key).fetch_one(pool).await
        })?)
    }
}
