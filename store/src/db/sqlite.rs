//! How SQLite is opened: a folder with `log.db`, where a commit is on disk before it is answered,
//! and `views.db`, which can be rebuilt. In one file projections would stall the log.

use crate::db::session::Session;
use crate::db::sticky_connection::MAX_STICKY_CONNECTIONS;
use crate::db::{Db, Pooled};
use crate::error::StoreError;
use crate::failpoint::is_weakened;
use crate::options::StoreOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, Executor, Sqlite, SqliteConnection};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// How long a writer waits for another process's write lock.
pub(crate) const BUSY: Duration = Duration::from_secs(2);
/// Pages of the views' write-ahead log, of 4 KiB each, after which a commit moves them into the file and waits
/// for the disk. SQLite's own 1,000 are less than one transaction of a build writes.
const CHECKPOINT: &str = "4000";
/// Bytes to which a write-ahead log is truncated after it grew because of a long reader.
const WAL_KEPT: &str = "16777216";
/// How often a checkpoint is tried again while other connections still read.
const FOLD_TRIES: u32 = 40;
const FOLD_PAUSE: Duration = Duration::from_millis(50);
/// Between two tries to open a file that others are opening.
const PAUSE: Duration = Duration::from_millis(10);

/// The one connection of this process that writes to `log.db`, one caller at a time. Several connections would poll for
/// SQLite's write lock, and a pool would ping a connection after every use.
pub(crate) type Writer = Arc<Mutex<LogWriterConnection>>;

/// A connection outside of all pools.
pub(crate) type OwnSession = Session<Sqlite, Box<SqliteConnection>>;

/// The writing connection. It is opened again after an error that leaves its state unknown.
#[derive(Debug)]
pub(crate) struct LogWriterConnection {
    folder: PathBuf,
    open: OwnSession,
}

impl LogWriterConnection {
    async fn connect(folder: &Path) -> Result<Self, StoreError> {
        let open = connect_writer(folder).await?;
        Ok(Self { folder: folder.to_owned(), open })
    }

    /// The session, for one statement or to begin a transaction: another one if the last can't be used any more.
    pub(crate) async fn session(&mut self) -> Result<&mut OwnSession, StoreError> {
        if self.open.is_discarded() {
            self.reconnect().await?;
        }
        Ok(&mut self.open)
    }

    /// The session as it is, for what belongs to a transaction that was begun on it.
    pub(crate) const fn within(&mut self) -> &mut OwnSession {
        &mut self.open
    }

    /// Takes another connection. The old one closes as it is dropped; its transaction, if any, is rolled back.
    pub(crate) async fn reconnect(&mut self) -> Result<(), StoreError> {
        self.open = connect_writer(&self.folder).await?;
        Ok(())
    }
}

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

/// How far a checkpoint of the write-ahead log got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Folded {
    /// All of it is in the file, and both are synced.
    pub(crate) is_complete: bool,
    /// The write-ahead log is empty, too.
    pub(crate) is_removed: bool,
}

impl Folded {
    /// Checkpoints the write-ahead log into the file, as far as other readers allow.
    pub(crate) async fn now<'c>(
        connection: impl Executor<'c, Database = Sqlite>,
    ) -> Result<Self, sqlx::Error> {
        let fold = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)");
        let (busy, frames, folded): (i64, i64, i64) = fold.fetch_one(connection).await?;
        // Both are -1 while another connection is checkpointing: then nothing is known.
        let is_complete = busy == 0 || (frames >= 0 && frames == folded);
        Ok(Self { is_complete, is_removed: busy == 0 })
    }
}

/// Checkpoints into the file what a process that died left in the write-ahead log, with a sync of both: data that one
/// sync failed to write can still be read from memory, but may not be on the disk. Refuses where another process
/// keeps reading an older state, which keeps the rest from being checkpointed.
pub(crate) async fn fold(db: &Db) -> Result<(), StoreError> {
    let Db::Sqlite { write, .. } = db else { return Ok(()) };
    let until = Instant::now() + BUSY;
    loop {
        if Folded::now(write).await?.is_complete {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(StoreError::Unavailable(
                "another process reads an older state of the database, so that its write-ahead log can't be \
                 folded into it: end that process, then start again"
                    .to_owned(),
            ));
        }
        sleep(FOLD_PAUSE).await;
    }
}

/// Gives this run of the server a number of its own in both the file and the write-ahead log that it begins, so that
/// a file from before this run is recognised next to that write-ahead log ([`crate::db::wal`]). The number is SQLite's
/// `user_version`, which is in the first page: an odd one is checkpointed into the file, and the write-ahead log begins
/// with the even one after it. While other connections read, nothing happens, or only half of it.
pub(crate) async fn begin_run(db: &Db) -> Result<(), StoreError> {
    let Db::Sqlite { write, .. } = db else { return Ok(()) };
    if !Folded::now(write).await?.is_removed {
        return Ok(());
    }
    let last: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(write).await?;
    let number = if last % 2 == 0 { last + 1 } else { last + 2 };
    sqlx::query(&format!("PRAGMA user_version = {number}")).execute(write).await?;
    if Folded::now(write).await?.is_removed {
        sqlx::query(&format!("PRAGMA user_version = {}", number + 1)).execute(write).await?;
    }
    Ok(())
}

/// A writer for a log that isn't written: an empty database in memory.
pub(crate) async fn no_writer(folder: &Path) -> Result<Writer, StoreError> {
    let open = Session::new(Box::new(nothing().await?));
    Ok(Arc::new(Mutex::new(LogWriterConnection { folder: folder.to_owned(), open })))
}

async fn nothing() -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new().in_memory(true).connect().await
}

/// Closes the writing connection, although other callers still share it: the last connection checkpoints the
/// write-ahead log into the file and removes it.
pub(crate) async fn close_writer(writer: &Writer) {
    let mut connection = writer.lock().await;
    let closed = match nothing().await {
        Ok(nothing) => std::mem::replace(&mut **connection.within(), nothing).close().await,
        Err(error) => Err(error),
    };
    if let Err(error) = closed {
        tracing::warn!(%error, "closing the log");
    }
}

/// Checkpoints what is left of the write-ahead logs. A connection that was dropped while it was being opened closes by
/// itself, a moment after all others, and only reads.
pub(crate) async fn fold_left_over(folder: &Path) {
    for file in [File::Log, File::Views] {
        let mut wal = file.path(folder).into_os_string();
        wal.push("-wal");
        for _ in 0..FOLD_TRIES {
            if !Path::new(&wal).exists() {
                break;
            }
            let options = file.write_options(folder).create_if_missing(false);
            let closed = match options.connect().await {
                Ok(connection) => connection.close().await,
                Err(error) => Err(error),
            };
            if let Err(error) = closed {
                tracing::warn!(%error, "folding a write-ahead log");
            }
            if Path::new(&wal).exists() {
                sleep(FOLD_PAUSE).await;
            }
        }
    }
}

/// The log's writing connection of this process.
pub(crate) async fn writer(folder: &Path) -> Result<Writer, StoreError> {
    Ok(Arc::new(Mutex::new(LogWriterConnection::connect(folder).await?)))
}

async fn connect_writer(folder: &Path) -> Result<OwnSession, StoreError> {
    let options = File::Log.write_options(folder);
    let connected = retry_while_busy(|| options.connect()).await;
    let connection = connected.map_err(|error| error.in_file(&File::Log.path(folder)))?;
    Ok(Session::new(Box::new(connection)))
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
    use super::*;

    /// Reads need no room on the disk as long as one connection has the write-ahead log's index open.
    #[tokio::test]
    async fn readers_that_were_opened_once_stay_open() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions::default();
        for file in [File::Log, File::Views] {
            let opened = file.open(&options, folder.path()).await.unwrap();
            let Db::Sqlite { write, read } = opened else { panic!("SQLite") };
            assert_eq!((read.idle_timeout(), read.max_lifetime()), (None, None), "{file:?}");
            write.close().await;
        }
    }

    /// What is acknowledged is on the disk: `FULL`, on every connection that writes to the log.
    #[tokio::test]
    async fn whoever_writes_to_the_log_waits_for_the_disk() {
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
