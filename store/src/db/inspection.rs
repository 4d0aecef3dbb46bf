//! Inspects SQLite's files before they are opened: SQLite creates an empty log where there is none, and trusts every
//! write-ahead log that it finds. Both are refused where they would lose events.
//!
//! It must run before this process opens the files through SQLite.

use crate::db::data_folder::DataFolder;
use crate::db::sqlite::File;
use crate::db::wal::{self, Pair};
use crate::error::StoreError;
use crate::options::WalTrust;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use std::fs;
use std::path::Path;

/// The state of a folder's files.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Inspection {
    /// The last process died: the log's file lacks pages that its write-ahead log has.
    pub(crate) is_unclean: bool,
}

/// Refuses where there is no log, but views that have read one.
pub(crate) async fn require_log(folder: &Path) -> Result<(), StoreError> {
    let (log, views) = (File::Log.path(folder), File::Views.path(folder));
    if !is_missing(&log) || is_missing(&views) {
        return Ok(());
    }
    let Some((source, position)) = read_by_views(&views).await? else { return Ok(()) };
    Err(StoreError::LogMissing(format!(
        "there is none in {}, but {} has read log {source} up to {position}",
        log.display(),
        views.display()
    )))
}

/// Inspects the folder's files. `is_ours` says that this process has the folder's lock.
pub(crate) fn inspect(
    folder: &DataFolder,
    trust: WalTrust,
    is_ours: bool,
) -> Result<Inspection, StoreError> {
    let (log, views) = (File::Log.path(folder.path()), File::Views.path(folder.path()));
    if !is_ours && folder.is_served() {
        // Its write-ahead logs change all the time, and belong to the process that writes them.
        return Ok(Inspection::default());
    }
    if trust != WalTrust::Always
        && let Some(pair) = Pair::read(&views)?
        && let Some(why) = pair.is_of_another_file()
    {
        return Err(StoreError::ForeignWal(why));
    }
    let Some(pair) = Pair::read(&log)? else {
        let short = if is_missing(&log) { None } else { wal::cut_short(&log)? };
        return short
            .map_or_else(|| Ok(Inspection::default()), |why| Err(StoreError::Damaged(why)));
    };
    let objection = match trust {
        WalTrust::UnlessForeign => pair.is_foreign(),
        WalTrust::UnlessLeftOver => pair.may_be_left_over(),
        WalTrust::Always => None,
    };
    match objection {
        Some(why) => Err(StoreError::ForeignWal(why)),
        None => Ok(Inspection { is_unclean: !pair.is_checkpointed() }),
    }
}

/// Whether there is no database: no file, or an empty one.
fn is_missing(file: &Path) -> bool {
    fs::metadata(file).map_or(true, |found| found.len() == 0) && !has_wal(file)
}

/// A new database may be in its write-ahead log alone.
fn has_wal(file: &Path) -> bool {
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    file.exists() && fs::metadata(wal).is_ok_and(|found| found.len() > 0)
}

/// Which log the views have read, and how far.
async fn read_by_views(views: &Path) -> Result<Option<(String, i64)>, StoreError> {
    let read = async {
        let mut connection = SqliteConnectOptions::new().filename(views).connect().await?;
        let furthest = furthest_checkpoint(&mut connection).await;
        connection.close().await?;
        furthest
    };
    read.await.map_err(|error| StoreError::from(error).in_file(views))
}

async fn furthest_checkpoint(
    views: &mut SqliteConnection,
) -> Result<Option<(String, i64)>, sqlx::Error> {
    let has_any = "SELECT count(*) > 0 FROM sqlite_master WHERE name = 'checkpoints'";
    if !sqlx::query_scalar(has_any).fetch_one(&mut *views).await? {
        return Ok(None);
    }
    let furthest = "SELECT source, position FROM checkpoints WHERE position > 0 \
                    ORDER BY position DESC LIMIT 1";
    sqlx::query_as(furthest).fetch_optional(views).await
}
