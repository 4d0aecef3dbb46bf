//! Which process runs which subscription: leases on the database's clock.
//!
//! The epoch rises each time a lease changes its holder, never when its holder renews it, so that a late write of a
//! former holder is recognised. The lease itself guards nothing; see [`crate::Checkpoints`].

use crate::db::{Db, Tx};
use crate::error::StoreError;
use crate::{on_db, on_tx};
use std::time::Duration;

/// The leases of one database.
#[derive(Clone, Debug)]
pub struct Leases(Db);

/// A lease as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The subscription or build that runs under it.
    pub name: String,
    /// The process that has it, or had it last.
    pub holder: String,
    /// How often it changed its holder.
    pub epoch: i64,
    /// Whether it has run out.
    pub is_over: bool,
}

/// The holder of a pause, which no process can take until it is ended.
const PAUSED: &str = "paused";

impl Lease {
    /// Whether it is a pause, which blocks all processes.
    pub fn is_pause(&self) -> bool {
        !self.is_over && self.holder == PAUSED
    }
}

impl Leases {
    /// The leases that live in `db`.
    pub const fn new(db: Db) -> Self {
        Self(db)
    }

    /// Takes the lease, or renews it, until `ttl` from now; returns its epoch, or `None` while another process holds
    /// it.
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

    /// Ends the lease at once if `holder` has it.
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

    /// Ends a lease that isn't a pause, for a caller that knows that no other process can be at work.
    pub async fn end(&self, name: &str) -> Result<(), StoreError> {
        let mut tx = self.0.begin().await?;
        on_tx!(&mut tx, connection => {
            sqlx::query(
                "UPDATE leases SET expires_at = 0 WHERE name = $1 AND holder <> $2",
            )
            .bind(name)
            .bind(PAUSED)
            .execute(connection)
            .await
            .map(drop)
        })?;
        tx.commit().await
    }

    /// All leases.
    pub async fn all(&self) -> Result<Vec<Lease>, StoreError> {
        let now = self.0.now();
        let sql = format!(
            "SELECT name, holder, epoch, CASE WHEN expires_at <= {now} THEN 1 ELSE 0 END \
             FROM leases ORDER BY name"
        );
        let rows: Vec<(String, String, i64, i32)> = on_db!(&self.0, pool => {
            sqlx::query_as(&sql).fetch_all(pool).await
        })?;
        let lease = |(name, holder, epoch, over)| Lease { name, holder, epoch, is_over: over == 1 };
        Ok(rows.into_iter().map(lease).collect())
    }

    /// Whether `holder` has the lease at this epoch, for sure until `tx` ends.
    pub async fn is_held(
        tx: &mut Tx,
        name: &str,
        holder: &str,
        epoch: i64,
    ) -> Result<bool, StoreError> {
        let held = on_tx!(tx, connection => {
            sqlx::query(
                "UPDATE leases SET epoch = epoch WHERE name = $1 AND holder = $2 AND epoch = $3",
            )
            .bind(name)
            .bind(holder)
            .bind(epoch)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
        })?;
        Ok(held == 1)
    }

    /// Takes the lease from its holder and leaves it free; a pause stays one. Returns the new epoch, which fences the
    /// former holder once the checkpoint has it.
    pub async fn revoke(tx: &mut Tx, name: &str) -> Result<i64, StoreError> {
        let sql = "INSERT INTO leases (name, holder, epoch, expires_at) VALUES ($1, '', 1, 0) \
                   ON CONFLICT (name) DO UPDATE SET epoch = leases.epoch + 1, \
                   holder = CASE WHEN leases.holder = $2 THEN leases.holder ELSE '' END, \
                   expires_at = CASE WHEN leases.holder = $2 \
                   THEN leases.expires_at ELSE 0 END RETURNING epoch";
        Ok(on_tx!(tx, connection => {
            sqlx::query_scalar(sql).bind(name).bind(PAUSED).fetch_one(connection).await
        })?)
    }

    /// Blocks the lease until [`Leases::resume`]; returns the new epoch, as [`Leases::revoke`].
    pub async fn pause(tx: &mut Tx, name: &str) -> Result<i64, StoreError> {
        let sql = "INSERT INTO leases (name, holder, epoch, expires_at) VALUES ($1, $2, 1, $3) \
                   ON CONFLICT (name) DO UPDATE SET epoch = leases.epoch + 1, \
                   holder = excluded.holder, expires_at = excluded.expires_at RETURNING epoch";
        Ok(on_tx!(tx, connection => {
            sqlx::query_scalar(sql).bind(name).bind(PAUSED).bind(i64::MAX).fetch_one(connection).await
        })?)
    }

    /// Ends a pause; returns whether there was one.
    pub async fn resume(&self, name: &str) -> Result<bool, StoreError> {
        let mut tx = self.0.begin().await?;
        let ended = on_tx!(&mut tx, connection => {
            sqlx::query(
                "UPDATE leases SET expires_at = 0, holder = '' WHERE name = $1 AND holder = $2",
            )
            .bind(name)
            .bind(PAUSED)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
        })?;
        tx.commit().await?;
        Ok(ended == 1)
    }
}
