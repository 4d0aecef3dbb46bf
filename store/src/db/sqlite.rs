//! How SQLite is opened: a folder with `log.db`, where a commit is on disk before it is answered, and `views.db`, which
//! can be rebuilt. In one file projections would block the log.

mod log_writer;
mod wal_checkpoint;

pub(crate) use log_writer::{
    LogWriterConnection, OwnSession, Writer, close_writer, no_writer, writer,
};
pub(crate) use wal_checkpoint::{WalCheckpoint, begin_run, checkpoint_left_over, checkpoint_wal};

use crate::db::sticky_connection::MAX_STICKY_CONNECTIONS;
use crate::db::{Db, Pooled};
use crate::error::StoreError;
use crate::failpoint::is_weakened;
use crate::options::StoreOptions;
use sqlx::Sqlite;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a writer waits for another process's write lock.
pub(crate) const BUSY: Duration = Duration::from_secs(2);
/// Pages of the views' write-ahead log, of 4 KiB each, after which a commit moves them into the file and waits
/// for the disk. SQLite's own 1,000 are less than one transaction of a build writes.
const CHECKPOINT: &str = "4000";
/// Bytes to which a write-ahead log is truncated after it grew because of a long reader.
const WAL_KEPT: &str = "16777216";
/// Between two tries to open a file that others are opening.
const PAUSE: Duration = Duration::from_millis(10);

/// The folder of `sqlite:<folder>`, if the URL is one.
pub(crate) fn folder(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    // `sqlite://data`, which looks like other URLs, means the same.
    Some(PathBuf::from(path.strip_prefix("//").unwrap_or(path)))
}

/// One of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    Log,
    Views,
}

impl File {
    pub(crate) fn path(self, folder: &Path) -> PathBuf {
        folder.join(match self {
            Self::Log => "log.db",
            Self::Views => "views.db",
        })
    }

    fn write_options(self, folder: &Path) -> SqliteConnectOptions {
        let synchronous = match self {
            Self::Log if is_weakened("sqlite.log-unsynced") => SqliteSynchronous::Normal,
            Self::Log => SqliteSynchronous::Full,
            Self::Views => SqliteSynchronous::Normal,
        };
        let options = SqliteConnectOptions::new()
            .filename(self.path(folder))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(BUSY)
            .pragma("journal_size_limit", WAL_KEPT)
            .pragma("temp_store", "memory");
        match self {
            // Erased data is overwritten, not only released.
            Self::Log => options.pragma("secure_delete", "on"),
            Self::Views => options.pragma("wal_autocheckpoint", CHECKPOINT),
        }
    }

    fn read_options(self, folder: &Path) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(self.path(folder))
            .read_only(true)
            .busy_timeout(BUSY)
            .pragma("temp_store", "memory")
    }

    /// Opens the file with a pool of one writer and a pool of readers; makes it when missing.
    pub(crate) async fn open(
        self,
        options: &StoreOptions,
        folder: &Path,
    ) -> Result<Db, StoreError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None);
        // Opened at once: it sets the journal mode, which readers can't.
        let write =
            retry_while_busy(|| pool.clone().connect_with(self.write_options(folder))).await;
        let write = write.map_err(|error| error.in_file(&self.path(folder)))?;
        let read = self.read_pool(options, folder);
        Ok(Db::Sqlite { write: write.into(), read })
    }

    /// Opens a file that can't be written from here, while another process does.
    pub(crate) async fn open_next_to_a_writer(
        self,
        options: &StoreOptions,
        folder: &Path,
    ) -> Result<Db, StoreError> {
        self.connect_readers(options, folder, self.read_options(folder)).await
    }

    /// Opens a file that can't be written, as it is: no process may write to it meanwhile.
    pub(crate) async fn open_fixed(
        self,
        options: &StoreOptions,
        folder: &Path,
    ) -> Result<Db, StoreError> {
        self.connect_readers(options, folder, self.read_options(folder).immutable(true)).await
    }

    async fn connect_readers(
        self,
        options: &StoreOptions,
        folder: &Path,
        connect: SqliteConnectOptions,
    ) -> Result<Db, StoreError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(options.read_connections.max(1).saturating_add(MAX_STICKY_CONNECTIONS))
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .connect_with(connect)
            .await
            .map_err(|error| StoreError::from(error).in_file(&self.path(folder)))?;
        Ok(Db::Sqlite { write: pool.clone().into(), read: pool.into() })
    }

    fn read_pool(self, options: &StoreOptions, folder: &Path) -> Pooled<Sqlite> {
        let sticky = if self == Self::Log { MAX_STICKY_CONNECTIONS } else { 0 };
        SqlitePoolOptions::new()
            .max_connections(options.read_connections.max(1).saturating_add(sticky))
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            // The last connection that closes removes the write-ahead log and its index, and the next one must create
            // them again, which a full disk refuses: readers stay open.
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(self.read_options(folder))
            .into()
    }
}

/// An empty database in memory, in place of one that is missing.
pub(crate) async fn in_memory() -> Result<Db, StoreError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(SqliteConnectOptions::new().in_memory(true))
        .await?;
    Ok(Db::Sqlite { write: pool.clone().into(), read: pool.into() })
}

/// Verifies that every page of the database is valid. It reads all of it.
pub(crate) async fn verify(db: &Db) -> Result<(), StoreError> {
    let Db::Sqlite { write, .. } = db else { return Ok(()) };
    let found: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check(1000)").fetch_all(write).await?;
    let is_damage = |line: &&String| *line != "ok" && !is_about_a_value(line);
    let damage: Vec<&str> = found.iter().filter(is_damage).take(3).map(String::as_str).collect();
    if damage.is_empty() {
        return Ok(());
    }
    Err(StoreError::Damaged(damage.join("; ").replace('\n', " ")))
}

/// Whether SQLite reports a row whose value its column doesn't allow. The pages are intact then, and readers park
/// such a row alone.
pub(crate) fn is_about_a_value(line: &str) -> bool {
    line.contains(" value in ") || line.starts_with("CHECK constraint failed in ")
}

/// Connects, again while another process does so too. Setting a new file's journal mode needs exclusive access, and
/// where two connections request that at once SQLite refuses one of them without waiting.
async fn retry_while_busy<T, F>(connect: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let until = Instant::now() + BUSY;
    loop {
        match connect().await {
            Err(error) if is_busy(&error) && Instant::now() < until => sleep(PAUSE).await,
            connected => return Ok(connected?),
        }
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // The primary code is the low byte: 5 is SQLITE_BUSY.
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 5)
}

#[cfg(test)]
mod tests {
    use super::log_writer::connect_writer;
    use super::*;

    /// Reads need no room on the disk as long as one connection has the write-ahead log's index open.
    #[tokio::test]
    async fn readers_stay_open_once_opened() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions::default();
        for file in [File::Log, File::Views] {
            let opened = file.open(&options, folder.path()).await.unwrap();
            let Db::Sqlite { write, read } = opened else { panic!("SQLite") };
            assert_eq!((read.idle_timeout(), read.max_lifetime()), (None, None), "{file:?}");
            write.close().await;
        }
    }

    /// Acknowledged commits are on the disk: `FULL`, on every connection that writes to the log.
    #[tokio::test]
    async fn every_writer_of_the_log_waits_for_the_disk() {
        const FULL: i64 = 2;
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions::default();
        let Db::Sqlite { write, .. } = File::Log.open(&options, folder.path()).await.unwrap()
        else {
            panic!("SQLite")
        };
        let ask = "SELECT synchronous, journal_mode FROM pragma_synchronous, pragma_journal_mode";
        let durable = (FULL, "wal".to_owned());
        let pooled: (i64, String) = sqlx::query_as(ask).fetch_one(&write).await.unwrap();
        assert_eq!(pooled, durable);
        let mut own = connect_writer(folder.path()).await.unwrap();
        let own: (i64, String) = sqlx::query_as(ask).fetch_one(&mut own).await.unwrap();
        assert_eq!(own, durable);
        write.close().await;
    }
}
