//! One consistent snapshot of the log and of what subscriptions keep, for callers that read all of it.
//!
//! On PostgreSQL it is one REPEATABLE READ transaction. On SQLite the file of checkpoints is pinned
//! first and the log second, so that no checkpoint is further than the log.

use crate::db::{Db, Tx};
use crate::error::StoreError;
use crate::on_tx;
use sqlx::Executor;

/// The transactions to read in. Dropped, they end.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Of the log.
    pub(crate) log: Tx,
    /// Of checkpoints and what belongs to them, where they live in another file.
    views: Option<Tx>,
}

impl Snapshot {
    /// For reading by key, page by page.
    pub(crate) async fn by_key(log: &Db, views: &Db) -> Result<Self, StoreError> {
        Self::take(log, views).await
    }

    /// For queries over whole tables, which the log's own pool forbids on PostgreSQL.
    pub(crate) async fn of_whole_tables(log: &Db, views: &Db) -> Result<Self, StoreError> {
        let log = if views.is_postgres() { views } else { log };
        let mut snapshot = Self::take(log, views).await?;
        let spill = match &snapshot.log {
            Tx::Postgres(_) => "SET LOCAL work_mem = '64MB'",
            // Large sorts and groups go to disk.
            Tx::Sqlite(_) => "PRAGMA temp_store = FILE",
        };
        on_tx!(&mut snapshot.log, connection => connection.execute(spill).await.map(drop))?;
        Ok(snapshot)
    }

    async fn take(log: &Db, views: &Db) -> Result<Self, StoreError> {
        match (views, log) {
            (views @ Db::Sqlite { .. }, log @ Db::Sqlite { .. }) => {
                let mut views = views.snapshot().await?;
                pin(&mut views, "SELECT count(*) FROM checkpoints").await?;
                let mut log = log.snapshot().await?;
                pin(&mut log, "SELECT count(*) FROM identity").await?;
                Ok(Self { log, views: Some(views) })
            }
            (_, log) => {
                let mut log = log.begin().await?;
                // The reader of the snapshot may be slow; the database must not end the transaction meanwhile.
                let how = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; \
                           SET LOCAL idle_in_transaction_session_timeout = 0";
                on_tx!(&mut log, connection => connection.execute(how).await.map(drop))?;
                Ok(Self { log, views: None })
            }
        }
    }

    /// The transaction that checkpoints are read in.
    pub(crate) const fn views(&mut self) -> &mut Tx {
        match &mut self.views {
            Some(views) => views,
            None => &mut self.log,
        }
    }
}

/// SQLite fixes a snapshot with the first read.
async fn pin(tx: &mut Tx, sql: &str) -> Result<(), StoreError> {
    let _: i64 = on_tx!(tx, connection => sqlx::query_scalar(sql).fetch_one(connection).await)?;
    Ok(())
}
