//! Checkpoints of the write-ahead log, which move its content into the database's file.

use super::{BUSY, File};
use crate::db::Db;
use crate::error::StoreError;
use sqlx::{ConnectOptions, Connection as _, Executor, Sqlite};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a checkpoint is tried again while other connections still read.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// How far a checkpoint got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WalCheckpoint {
    /// All of the write-ahead log is in the file, and both are synced.
    pub(crate) is_complete: bool,
    /// The write-ahead log is empty, too.
    pub(crate) is_emptied: bool,
}

impl WalCheckpoint {
    /// Checkpoints the write-ahead log into the file, as far as other readers allow.
    pub(crate) async fn run<'c>(
        connection: impl Executor<'c, Database = Sqlite>,
    ) -> Result<Self, sqlx::Error> {
        let checkpoint = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)");
        let (busy, frames, moved): (i64, i64, i64) = checkpoint.fetch_one(connection).await?;
        // Both are -1 while another connection is checkpointing: then nothing is known.
        let is_complete = busy == 0 || (frames >= 0 && frames == moved);
        Ok(Self { is_complete, is_emptied: busy == 0 })
    }
}

/// Checkpoints the write-ahead log of a process that died, with a sync of both files: data that a sync failed to write
/// can still be read from memory, but may not be on the disk. Refuses where another process
/// keeps reading an older state, which keeps the rest from being checkpointed.
pub(crate) async fn checkpoint_wal(db: &Db) -> Result<(), StoreError> {
    let Db::Sqlite { write, .. } = db else { return Ok(()) };
    let until = Instant::now() + BUSY;
    loop {
        if WalCheckpoint::run(write).await?.is_complete {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(StoreError::Unavailable(
                "another process reads an older state of the database, so that its write-ahead log can't be \
                 checkpointed into it: end that process, then start again"
                    .to_owned(),
            ));
        }
        sleep(PAUSE).await;
    }
}

/// Gives this run of the server a number of its own in both the file and the write-ahead log that it begins, so that
/// a file from before this run is recognised next to that write-ahead log ([`crate::db::wal`]). The number is SQLite's
/// `user_version`, which is in the first page: an odd one is checkpointed into the file, and the write-ahead log begins
/// with the even one after it. While other connections read, nothing happens, or only half of it.
pub(crate) async fn begin_run(db: &Db) -> Result<(), StoreError> {
    let Db::Sqlite { write, .. } = db else { return Ok(()) };
    if !WalCheckpoint::run(write).await?.is_emptied {
        return Ok(());
    }
    let last: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(write).await?;
    let number = if last % 2 == 0 { last + 1 } else { last + 2 };
    sqlx::query(&format!("PRAGMA user_version = {number}")).execute(write).await?;
    if WalCheckpoint::run(write).await?.is_emptied {
        sqlx::query(&format!("PRAGMA user_version = {}", number + 1)).execute(write).await?;
    }
    Ok(())
}

/// Checkpoints the remaining write-ahead logs. A connection that was dropped while it was being opened closes by
/// itself, a moment after all others, and only reads.
pub(crate) async fn checkpoint_left_over(folder: &Path) {
    for file in [File::Log, File::Views] {
        let mut wal = file.path(folder).into_os_string();
        wal.push("-wal");
        for _ in 0..TRIES {
            if !Path::new(&wal).exists() {
                break;
            }
            let options = file.write_options(folder).create_if_missing(false);
            let closed = match options.connect().await {
                Ok(connection) => connection.close().await,
                Err(error) => Err(error),
            };
            if let Err(error) = closed {
                tracing::warn!(%error, "a write-ahead log can't be checkpointed");
            }
            if Path::new(&wal).exists() {
                sleep(PAUSE).await;
            }
        }
    }
}
