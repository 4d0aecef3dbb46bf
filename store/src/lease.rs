//! Who runs what, across processes: leases on the database's clock.
//!
//! The epoch rises each time a lease is taken from someone else, never when its holder renews it, so
//! a late write of a former holder can be told apart. The lease itself guards nothing; see
//! [`crate::Checkpoints`].

use crate::db::Db;
use crate::error::StoreError;
use crate::on_tx;
use std::time::Duration;

/// The leases of one database.
#[derive(Clone, Debug)]
pub struct Leases(Db);

impl Leases {
    /// The leases that live in `db`.
    pub const fn new(db: Db) -> Self {
        Self(db)
    }

    /// Takes the lease, or renews it, until `ttl` from now; answers its epoch, or `None` while
    /// somebody else holds it.
    pub async fn take(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<i64>, StoreError> {
        let now = self.0.now();
        let sql = format!(
            "INSERT INTO leases (name, holder, epoch, expires_at) VALUES ($1, $2, 1, {now} + $3) \
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, \
             expires_at = excluded.expires_at, epoch = leases.epoch + \
             CASE WHEN leases.holder = excluded.holder THEN 0 ELSE 1 END \
             WHERE leases.holder = excluded.holder OR leases.expires_at <= {now} \
             RETURNING epoch"
        );
        let ttl = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX / 2);
        let mut tx = self.0.begin().await?;
        let row: Option<(i64,)> = on_tx!(&mut tx, connection => {
            sqlx::query_as(&sql)
                .bind(name)
                .bind(holder)
                .bind(ttl)
                .fetch_optional(connection)
                .await
        })?;
        tx.commit().await?;
        Ok(row.map(|(epoch,)| epoch))
    }

    /// Gives the lease up at once; nothing if `holder` hasn't it.
    pub async fn release(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        let mut tx = self.0.begin().await?;
        on_tx!(&mut tx, connection => {
            sqlx::query("UPDATE leases SET expires_at = 0 WHERE name = $1 AND holder = $2")
                .bind(name)
                .bind(holder)
                .execute(connection)
                .await
                .map(drop)
        })?;
        tx.commit().await
    }

    /// Ends whatever lease stands, for who knows that no other process can be at work.
    pub async fn end(&self, name: &str) -> Result<(), StoreError> {
        let mut tx = self.0.begin().await?;
        on_tx!(&mut tx, connection => {
            sqlx::query("UPDATE leases SET expires_at = 0 WHERE name = $1")
                .bind(name)
                .execute(connection)
                .await
                .map(drop)
        })?;
        tx.commit().await
    }
}
