//! The logs of other services that subscriptions read, by the services' names. The first reading notes a log's identity;
//! a service that later answers with another log, or with this one in another epoch, is noticed.

use crate::db::Db;
use crate::error::StoreError;
use crate::log::Identity;
use crate::{on_db, on_tx};

/// The sources that are noted in one database.
#[derive(Clone, Debug)]
pub struct KnownSources(Db);

impl KnownSources {
    /// The sources that are noted in `db`.
    pub const fn new(db: Db) -> Self {
        Self(db)
    }

    /// The log of a service; `None` if it was never read.
    pub async fn of(&self, name: &str) -> Result<Option<Identity>, StoreError> {
        let sql = "SELECT log_id, log_epoch FROM sources WHERE name = $1";
        let row: Option<(String, i64)> =
            on_db!(&self.0, pool => sqlx::query_as(sql).bind(name).fetch_optional(pool).await?);
        row.map(|(id, epoch)| super::checkpoint::identity(&id, epoch)).transpose()
    }

    /// Notes the log of a service unless one is noted; returns the noted one.
    pub async fn note(&self, name: &str, log: &Identity) -> Result<Identity, StoreError> {
        if let Some(noted) = self.of(name).await? {
            return Ok(noted);
        }
        let mut tx = self.0.begin().await?;
        on_tx!(&mut tx, connection => {
            let sql = "INSERT INTO sources (name, log_id, log_epoch) VALUES ($1, $2, $3) \
                       ON CONFLICT (name) DO NOTHING";
            let query = sqlx::query(sql).bind(name).bind(log.log_id.to_string()).bind(log.epoch);
            query.execute(connection).await.map(drop)
        })?;
        tx.commit().await?;
        // Another process may have been faster.
        Ok(self.of(name).await?.unwrap_or(*log))
    }
}
