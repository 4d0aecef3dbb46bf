//! The events that an operator dropped, and why. They are kept for ever.

use super::{Parked, ParkedKeys};
use crate::db::Tx;
use crate::error::StoreError;
use crate::{on_db, on_tx};

/// An event that an operator dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The subscription.
    pub subscription: String,
    /// The key.
    pub key: String,
    /// The position of the event that couldn't be processed.
    pub position: i64,
    /// Why it was parked.
    pub parked_for: String,
    /// Why it was dropped.
    pub reason: String,
    /// When, in microseconds.
    pub dropped_at: i64,
}

impl ParkedKeys {
    /// Notes that a key's first event will not be retried by itself, and why; `false` if that was noted before, and
    /// then the first reason is kept.
    pub async fn note_dropped(
        tx: &mut Tx,
        subscription: &str,
        parked: &Parked,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let sql = format!(
            "INSERT INTO dropped (subscription, key, position, parked_for, reason, dropped_at) \
             VALUES ($1, $2, $3, $4, $5, {}) ON CONFLICT (subscription, key, position) \
             DO NOTHING",
            tx.now()
        );
        Ok(on_tx!(tx, connection => {
            sqlx::query(&sql)
                .bind(subscription)
                .bind(&parked.key)
                .bind(parked.since_position)
                .bind(&parked.reason)
                .bind(reason)
                .execute(connection)
                .await
                .map(|noted| noted.rows_affected() > 0)
        })?)
    }

    /// All events that were ever dropped, the latest last.
    pub async fn dropped(&self) -> Result<Vec<Dropped>, StoreError> {
        let sql = "SELECT subscription, key, position, parked_for, reason, dropped_at \
                   FROM dropped ORDER BY dropped_at, subscription, key, position";
        let rows: Vec<(String, String, i64, String, String, i64)> = on_db!(&self.0, pool => {
            sqlx::query_as(sql).fetch_all(pool).await
        })?;
        let dropped = |(subscription, key, position, parked_for, reason, dropped_at)| Dropped {
            subscription,
            key,
            position,
            parked_for,
            reason,
            dropped_at,
        };
        Ok(rows.into_iter().map(dropped).collect())
    }
}
