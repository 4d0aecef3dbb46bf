//! How far each subscriber is in each log that it reads.
//!
//! A checkpoint moves by compare-and-set on its position and on the lease epoch of its runner, in the transaction of
//! the runner's writes: a runner that was paused and fenced writes nothing. A runner that takes a lease claims the
//! checkpoint first, which fences its predecessor.

use crate::db::{Db, Tx};
use crate::error::StoreError;
use crate::log::Identity;
use crate::subscription::SubscriptionId;
use crate::{on_db, on_tx};

/// The checkpoints of one database.
#[derive(Clone, Debug)]
pub struct Checkpoints(Db);

/// The position from which a runner that took its lease continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// After this position.
    Position(i64),
    /// A later runner has claimed the checkpoint.
    Fenced,
    /// The subscription has read another log, or this one before it was restored: its state from then doesn't fit, so
    /// that it must be rebuilt.
    OtherLog(Identity),
}

/// Where a subscriber is in one log.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint {
    /// The log.
    pub source: Identity,
    /// The last position that it has read.
    pub position: i64,
    /// Only a runner whose lease has this epoch, or takes a later one, moves the checkpoint from there.
    pub lease_epoch: i64,
}

/// A log that a subscriber has read, and how far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCheckpoint {
    /// The service whose log it is; `None` for the own log, and for one that isn't known.
    pub name: Option<String>,
    /// The log.
    pub source: Identity,
    /// The last position that it has read.
    pub position: i64,
}

/// A step of a checkpoint that its runner takes.
#[derive(Clone, Copy, Debug)]
pub struct Advance {
    /// The epoch of the runner's lease.
    pub lease_epoch: i64,
    /// The position that the checkpoint must have.
    pub from: i64,
    /// The position that it gets.
    pub to: i64,
}

impl Checkpoints {
    /// The checkpoints that live in `db`.
    pub const fn new(db: Db) -> Self {
        Self(db)
    }

    /// Lets only a runner of `lease_epoch` move this checkpoint from now on, and returns its position; a new checkpoint
    /// begins at `start`.
    pub async fn claim(
        &self,
        subscription: &str,
        source: &Identity,
        lease_epoch: i64,
        start: i64,
    ) -> Result<Claim, StoreError> {
        if let Some(other) = self.other_log(subscription, source).await? {
            return Ok(Claim::OtherLog(other));
        }
        let mut tx = self.0.begin().await?;
        let row: Option<(i64,)> = on_tx!(&mut tx, connection => {
            sqlx::query_as(
                "INSERT INTO checkpoints (subscription, source, log_epoch, position, lease_epoch) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (subscription, source) DO UPDATE \
                 SET lease_epoch = excluded.lease_epoch \
                 WHERE checkpoints.lease_epoch <= excluded.lease_epoch RETURNING position",
            )
            .bind(subscription)
            .bind(source.log_id.to_string())
            .bind(source.epoch)
            .bind(start)
            .bind(lease_epoch)
            .fetch_optional(connection)
            .await
        })?;
        tx.commit().await?;
        Ok(row.map_or(Claim::Fenced, |(position,)| Claim::Position(position)))
    }

    /// The log that the subscriber has read in place of this one. Those of other services are read in addition to the
    /// own.
    async fn other_log(
        &self,
        subscription: &str,
        source: &Identity,
    ) -> Result<Option<Identity>, StoreError> {
        let row: Option<(String, i64)> = on_db!(&self.0, pool => {
            sqlx::query_as(
                "SELECT source, log_epoch FROM checkpoints WHERE subscription = $1 \
                 AND (source = $2 AND log_epoch <> $3 OR source <> $2 \
                 AND NOT EXISTS (SELECT 1 FROM sources WHERE log_id IN ($2, checkpoints.source))) \
                 LIMIT 1",
            )
            .bind(subscription)
            .bind(source.log_id.to_string())
            .bind(source.epoch)
            .fetch_optional(pool)
            .await
        })?;
        row.map(|(id, epoch)| identity(&id, epoch)).transpose()
    }

    /// Moves the checkpoint inside `tx`; `false` if it isn't at `step.from` or the runner was fenced: then `tx` must
    /// not be committed.
    pub async fn advance(
        tx: &mut Tx,
        subscription: &str,
        source: &Identity,
        step: Advance,
    ) -> Result<bool, StoreError> {
        let done = on_tx!(tx, connection => {
            sqlx::query(
                "UPDATE checkpoints SET position = $1 WHERE subscription = $2 AND source = $3 \
                 AND log_epoch = $4 AND lease_epoch = $5 AND position = $6",
            )
            .bind(step.to)
            .bind(subscription)
            .bind(source.log_id.to_string())
            .bind(source.epoch)
            .bind(step.lease_epoch)
            .bind(step.from)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
        })?;
        Ok(done == 1)
    }

    /// Blocks other runners until `tx` ends, and returns the checkpoint's position; `None` if the runner was fenced:
    /// then `tx` must not be committed.
    pub async fn hold(
        tx: &mut Tx,
        subscription: &str,
        source: &Identity,
        lease_epoch: i64,
    ) -> Result<Option<i64>, StoreError> {
        let row: Option<(i64,)> = on_tx!(tx, connection => {
            sqlx::query_as(
                "UPDATE checkpoints SET lease_epoch = lease_epoch WHERE subscription = $1 \
                 AND source = $2 AND log_epoch = $3 AND lease_epoch = $4 RETURNING position",
            )
            .bind(subscription)
            .bind(source.log_id.to_string())
            .bind(source.epoch)
            .bind(lease_epoch)
            .fetch_optional(connection)
            .await
        })?;
        Ok(row.map(|(position,)| position))
    }

    /// The positions of a subscriber in all logs, the own one first; they stay there until `tx` ends.
    pub async fn lock(
        tx: &mut Tx,
        subscription: &str,
    ) -> Result<Vec<SourceCheckpoint>, StoreError> {
        on_tx!(&mut *tx, connection => {
            let sql = "UPDATE checkpoints SET position = position WHERE subscription = $1";
            sqlx::query(sql).bind(subscription).execute(connection).await.map(drop)
        })?;
        Self::at(tx, subscription).await
    }

    /// The positions of a subscriber in all logs, the own one first, as `tx` sees them.
    pub async fn at(tx: &mut Tx, subscription: &str) -> Result<Vec<SourceCheckpoint>, StoreError> {
        let sql = "SELECT s.name, c.source, c.log_epoch, c.position FROM checkpoints c \
                   LEFT JOIN sources s ON s.log_id = c.source WHERE c.subscription = $1 \
                   ORDER BY CASE WHEN s.name IS NULL THEN 0 ELSE 1 END, s.name";
        let rows: Vec<(Option<String>, String, i64, i64)> = on_tx!(tx, connection => {
            sqlx::query_as(sql).bind(subscription).fetch_all(connection).await
        })?;
        let of = |(name, id, epoch, position): (Option<String>, String, i64, i64)| {
            Ok(SourceCheckpoint { name, source: identity(&id, epoch)?, position })
        };
        rows.into_iter().map(of).collect()
    }

    /// Sets a subscriber's checkpoints, whatever it read before.
    pub async fn put(
        tx: &mut Tx,
        subscription: &str,
        checkpoints: &[Checkpoint],
    ) -> Result<(), StoreError> {
        on_tx!(tx, connection => {
            sqlx::query("DELETE FROM checkpoints WHERE subscription = $1")
                .bind(subscription)
                .execute(&mut *connection)
                .await?;
            for checkpoint in checkpoints {
                sqlx::query(
                    "INSERT INTO checkpoints (subscription, source, log_epoch, position, lease_epoch) \
                     VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(subscription)
                .bind(checkpoint.source.log_id.to_string())
                .bind(checkpoint.source.epoch)
                .bind(checkpoint.position)
                .bind(checkpoint.lease_epoch)
                .execute(&mut *connection)
                .await?;
            }
        });
        Ok(())
    }

    /// Fences every runner at this log whose lease is older than `lease_epoch`.
    pub async fn fence(
        tx: &mut Tx,
        subscription: &str,
        source: &Identity,
        lease_epoch: i64,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE checkpoints SET lease_epoch = $3 WHERE subscription = $1 AND source = $2";
        Ok(on_tx!(tx, connection => {
            let query = sqlx::query(sql).bind(subscription).bind(source.log_id.to_string());
            query.bind(lease_epoch).execute(connection).await.map(drop)
        })?)
    }

    /// The database that they live in.
    pub const fn db(&self) -> &Db {
        &self.0
    }

    /// The subscriptions that have read another log in place of this, or this one at another epoch. The logs of other
    /// services are read in addition to it.
    pub async fn others(&self, source: &Identity) -> Result<Vec<String>, StoreError> {
        Ok(on_db!(&self.0, pool => {
            sqlx::query_scalar(
                "SELECT subscription FROM checkpoints \
                 WHERE source = $1 AND log_epoch <> $2 \
                 OR source <> $1 AND source NOT IN (SELECT log_id FROM sources) \
                 ORDER BY subscription",
            )
            .bind(source.log_id.to_string())
            .bind(source.epoch)
            .fetch_all(pool)
            .await
        })?)
    }

    /// The positions of all subscriptions in the logs of other services.
    pub async fn at_other_services(&self) -> Result<Vec<(SubscriptionId, i64)>, StoreError> {
        let sql = "SELECT c.subscription, s.name, c.position FROM checkpoints c \
                   JOIN sources s ON s.log_id = c.source ORDER BY c.subscription, s.name";
        let rows: Vec<(String, String, i64)> =
            on_db!(&self.0, pool => sqlx::query_as(sql).fetch_all(pool).await?);
        let of = |(subscriber, source, position): (String, String, i64)| {
            (SubscriptionId { subscriber, source: Some(source) }, position)
        };
        Ok(rows.into_iter().map(of).collect())
    }

    /// The positions of all subscriptions in this log.
    pub async fn all(&self, source: &Identity) -> Result<Vec<(String, i64)>, StoreError> {
        Ok(on_db!(&self.0, pool => {
            sqlx::query_as(
                "SELECT subscription, position FROM checkpoints \
                 WHERE source = $1 AND log_epoch = $2",
            )
            .bind(source.log_id.to_string())
            .bind(source.epoch)
            .fetch_all(pool)
            .await
        })?)
    }
}

pub(super) fn identity(id: &str, epoch: i64) -> Result<Identity, StoreError> {
    let unreadable = |_| StoreError::Corrupt(format!("a checkpoint is of the log {id:?}"));
    id.parse().map(|log_id| Identity { log_id, epoch }).map_err(unreadable)
}
