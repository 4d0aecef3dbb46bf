//! Opens the engine that the URL names, and gives access to the log and everything that is stored with it.

use crate::db::connection_guard::ConnectionGuard;
use crate::db::tasks::Tasks;
use crate::db::{Databases, Db, LogConnection, Migrated, MissingViews, sqlite};
use crate::error::StoreError;
use crate::log::{
    AggregateStore, AggregateStores, Appender, DecodeEvent, EventLog, Identity, LogIdentityGuard,
    NumberKind, Numbers, OpenFiles, PersonalDataTable, PostgresWriter, Receipts, Signals,
    SqliteWriter, StreamLoader, Streams, Tail, TailSize, WriteOnceRecords, decode_as_is,
};
use crate::maintenance::{
    ArchiveError, Check, Export, ExportOptions, Restored, declare_restored, refuse_encoding,
    verify_schema,
};
use crate::options::StoreOptions;
use crate::subscription::Checkpoints;
use cqrs_es::Aggregate;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::DropGuard;

/// How often the tail looks for events of other processes when there should be none.
const EXCLUSIVE_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How often SQLite's files are compared with their paths while nothing is appended.
const FILE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// An event log with everything that is stored with it. Clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    databases: Databases,
    connection: LogConnection,
    log: EventLog,
    appender: Appender,
    receipts: Receipts,
    numbers: Numbers,
    personal_data: PersonalDataTable,
    write_once_records: WriteOnceRecords,
    tail: Tail,
    identity: Identity,
    guard: LogIdentityGuard,
    aggregates: AggregateStores,
    tasks: Tasks,
    _stop_when_dropped: DropGuard,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("identity", &self.0.identity).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a store whose schema is there already.
    ///
    /// # Errors
    /// [`StoreError::NeedsMigration`] for an empty or older schema, [`StoreError::TooNew`] for one
    /// that doesn't serve this program, [`StoreError::Locked`] when the data folder was requested
    /// exclusively and another process has it, [`StoreError::Unavailable`] without a database.
    pub async fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        let guard = LogIdentityGuard::default();
        let databases = open_databases(options, false, &guard).await?;
        match Self::start(options, databases.clone(), guard).await {
            Ok(store) => Ok(store),
            Err(error) => {
                let error = databases.locate(error).await;
                databases.close().await;
                Err(error)
            }
        }
    }

    /// Brings the schema up to this program's version. Processes that do so at once wait for each other.
    pub async fn migrate(options: &StoreOptions) -> Result<Migrated, StoreError> {
        Self::migrate_with(options, &[]).await
    }

    /// As [`Store::migrate`], with an index for each kind of number that an event names.
    pub async fn migrate_with(
        options: &StoreOptions,
        kinds: &[NumberKind<'_>],
    ) -> Result<Migrated, StoreError> {
        let databases = open_databases(options, true, &LogIdentityGuard::default()).await?;
        let migrated = migrate(&databases, kinds).await;
        databases.close().await;
        migrated
    }

    /// Declares that the log was restored from an older copy: raises its epoch, and adjusts
    /// everything that was read from it. No other process should have it open; one that has notices and stops.
    pub async fn restored(options: &StoreOptions) -> Result<Restored, StoreError> {
        let databases = open_databases(options, false, &LogIdentityGuard::default()).await?;
        let declared = async {
            databases.require_current_schema().await?;
            sqlite::verify(&databases.log).await?;
            declare_restored(&databases.log, &databases.views).await
        };
        let declared = declared.await;
        databases.close().await;
        declared
    }

    async fn start(
        options: &StoreOptions,
        databases: Databases,
        guard: LogIdentityGuard,
    ) -> Result<Self, StoreError> {
        databases.require_current_schema().await?;
        let log_db = &databases.log;
        let identity = Identity::read(log_db).await?;
        guard.expect_identity(identity);
        let (tasks, signals) = (Tasks::default(), Signals::new(guard.clone()));
        let connection = databases.log_connection().await?;
        let parts =
            AppenderParts { databases: &databases, connection: &connection, signals: &signals };
        let appender = start_appender(options, &parts, &tasks)?;
        if let (Some(folder), false) = (&databases.folder, databases.is_fixed) {
            guard.expect_files(OpenFiles::remember(folder.path()).await?);
            tasks.spawn_until_stopped(watch_files(guard.clone()));
        }
        let (log, views) = (log_db.clone(), databases.views.clone());
        tasks.spawn_until_stopped(shut_when_ended(guard.clone(), log, views));
        let connections: Arc<dyn ConnectionGuard> = Arc::new(guard.clone());
        let loader = StreamLoader::start(Streams, log_db, &connections, &tasks);
        let log = EventLog::new(log_db.clone(), loader.clone(), tasks.clone());
        let size = TailSize {
            max_events: options.tail_events,
            poll_interval: poll_interval(options, &databases),
        };
        Ok(Self(Arc::new(Inner {
            tail: Tail::new(log.clone(), signals, size, tasks.clone()),
            log,
            aggregates: AggregateStores::new(options.cache_entries, loader, appender.clone()),
            appender,
            receipts: Receipts::start(log_db, &connections, &tasks),
            numbers: Numbers::start(log_db, &connection, &guard, &tasks),
            write_once_records: WriteOnceRecords::new(
                log_db.clone(),
                connection.clone(),
                guard.clone(),
            ),
            personal_data: PersonalDataTable::new(
                log_db.clone(),
                connection.clone(),
                guard.clone(),
            ),
            connection,
            identity,
            guard,
            databases,
            _stop_when_dropped: tasks.stop.clone().drop_guard(),
            tasks,
        })))
    }

    /// Locks the data folder for this process alone, until the store is dropped. Without effect on
    /// PostgreSQL, where several processes may serve.
    pub fn lock_data_folder(&self) -> Result<(), StoreError> {
        self.0.databases.lock_folder()
    }

    /// The log, for reading.
    pub fn log(&self) -> &EventLog {
        &self.0.log
    }

    /// Appends to the log.
    pub fn appender(&self) -> &Appender {
        &self.0.appender
    }

    /// The receipts of commands.
    pub fn receipts(&self) -> &Receipts {
        &self.0.receipts
    }

    /// Allocates numbers.
    pub fn numbers(&self) -> &Numbers {
        &self.0.numbers
    }

    /// Names of persons.
    pub fn personal_data(&self) -> &PersonalDataTable {
        &self.0.personal_data
    }

    /// Records that are written once.
    pub fn write_once_records(&self) -> &WriteOnceRecords {
        &self.0.write_once_records
    }

    /// The newest events of the log.
    pub fn tail(&self) -> &Tail {
        &self.0.tail
    }

    /// The log's identity.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Refuses a log that ends before a position that a subscription has read, and one that isn't the log that
    /// subscriptions have read. With more appends it would reach those positions with other events, and the
    /// difference could no longer be recognised.
    pub async fn require_whole(&self) -> Result<(), StoreError> {
        // Checkpoints are read before the head: while other processes work, the log may have grown since.
        let checkpoints = Checkpoints::new(self.0.databases.views.clone());
        if let Some(name) = checkpoints.others(&self.0.identity).await?.first() {
            return Err(StoreError::OtherLog(format!(
                "it is log {}, and {name} has read another one, or this one before a restore",
                self.0.identity
            )));
        }
        let read = checkpoints.all(&self.0.identity).await?;
        let head = self.0.log.head().await?;
        read.iter().find(|(_, position)| *position > head).map_or(Ok(()), |(name, position)| {
            Err(StoreError::OtherLog(format!(
                "{name} has read it up to {position}, and it ends at {head}: \
                 it was restored from an older copy"
            )))
        })
    }

    /// Waits until the log is known to be another one than was opened (restored from an older copy, replaced);
    /// returns why. From then on nothing is appended or read through this store; its process should end, and start
    /// again, without closing the files: closing checkpoints the write-ahead log into a file that may be another one.
    pub async fn log_replaced(&self) -> StoreError {
        let why = self.0.guard.ended().await;
        self.0.databases.shut();
        why
    }

    /// Why there are no views, where the store was opened for reading and `views.db` is missing or damaged:
    /// then they are empty.
    pub fn without_views(&self) -> Option<&MissingViews> {
        self.0.databases.without_views.as_ref()
    }

    /// The same error with the file that is damaged, where one is. It reads both files whole.
    pub async fn locate(&self, error: StoreError) -> StoreError {
        self.0.databases.locate(error).await
    }

    /// Where views and their checkpoints live: a file of its own on SQLite.
    pub fn views(&self) -> &Db {
        &self.0.databases.views
    }

    /// Refuses a database whose schema lacks a part that the log relies on.
    ///
    /// # Errors
    /// [`StoreError::Schema`] names everything that is missing.
    pub async fn verify_schema(&self) -> Result<(), StoreError> {
        verify_schema(&self.0.databases.log, &self.0.databases.views).await
    }

    /// The database engine as interfaces name it: `postgresql` or `sqlite`.
    pub fn engine_name(&self) -> &'static str {
        self.views().engine_name()
    }

    /// The schema of a PostgreSQL database that has the tables; `None` on SQLite.
    pub fn schema(&self) -> Option<&str> {
        self.0.databases.schema()
    }

    /// Waits until the database answers, once.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.0.log.head().await.map(|_| ())
    }

    /// Refuses where the log that was read is no longer the one that was opened. An answer without an append relies on
    /// reading alone, and SQLite continues to read a file that was overwritten.
    pub async fn confirm_log(&self) -> Result<(), StoreError> {
        self.0.guard.check_files().await
    }

    /// The aggregates of one type, with one cache for the whole process. Events are read as they are; a caller with
    /// upcasters passes them first with [`Store::aggregates_with`].
    pub fn aggregates<A: Aggregate + Clone + 'static>(&self) -> AggregateStore<A> {
        self.aggregates_with(decode_as_is::<A>)
    }

    /// As [`Store::aggregates`]; the first call decides how events are read.
    pub fn aggregates_with<A: Aggregate + Clone + 'static>(
        &self,
        decode: DecodeEvent<A>,
    ) -> AggregateStore<A> {
        self.0.aggregates.get(decode)
    }

    /// Writes the commands that wait for the appender, then closes the connections. Appending afterwards is refused.
    pub async fn close(&self) {
        self.0.tasks.end().await;
        // The last connection checkpoints its write-ahead log, which must not get into a file that was put there since.
        let are_ours = self.0.guard.check_files().await.is_ok();
        self.0.databases.close().await;
        if let LogConnection::Sqlite(writer) = &self.0.connection
            && are_ours
        {
            sqlite::close_writer(writer).await;
            if let Some(folder) =
                self.0.databases.folder.as_ref().filter(|folder| folder.is_locked())
            {
                sqlite::checkpoint_left_over(folder.path()).await;
            }
        }
    }
}

impl Check {
    /// Begins: later writes aren't checked.
    pub async fn begin(store: &Store) -> Result<Self, StoreError> {
        Self::of(&store.0.databases.log, &store.0.databases.views).await
    }
}

impl Export {
    /// Begins: later writes aren't exported.
    pub async fn begin(store: &Store, options: ExportOptions) -> Result<Self, ArchiveError> {
        Self::of(&store.0.databases.log, &store.0.databases.views, options).await
    }
}

/// Opens the databases with `guard` as the guard of their connections.
async fn open_databases(
    options: &StoreOptions,
    make: bool,
    guard: &LogIdentityGuard,
) -> Result<Databases, StoreError> {
    let guard: Arc<dyn ConnectionGuard> = Arc::new(guard.clone());
    Databases::open(options, make, &guard).await
}

async fn migrate(databases: &Databases, kinds: &[NumberKind<'_>]) -> Result<Migrated, StoreError> {
    refuse_encoding(&databases.log).await?;
    let applied = databases.migrate().await?;
    for of in kinds {
        of.make_index(&databases.log).await?;
    }
    Ok(Migrated { applied, schema: databases.schema().map(str::to_owned) })
}

/// What the appender works on.
struct AppenderParts<'a> {
    databases: &'a Databases,
    connection: &'a LogConnection,
    signals: &'a Arc<Signals>,
}

fn start_appender(
    options: &StoreOptions,
    parts: &AppenderParts<'_>,
    tasks: &Tasks,
) -> Result<Appender, StoreError> {
    let (signals, queue) = (Arc::clone(parts.signals), options.queue);
    match parts.connection {
        LogConnection::Postgres(_) => {
            let (connect, session) =
                parts.databases.session_options(options)?.ok_or_else(|| {
                    StoreError::Misconfigured(
                        "PostgreSQL without settings of its sessions".to_owned(),
                    )
                })?;
            let writer = PostgresWriter::new(connect, session, signals.guard.clone());
            Ok(Appender::start(writer, signals, queue, tasks))
        }
        LogConnection::Sqlite(writer) => {
            let writer = SqliteWriter::new(Arc::clone(writer));
            Ok(Appender::start(writer, signals, queue, tasks))
        }
    }
}

/// A process that has the data folder for itself wakes the tail by its own appends, so the poll may be slow.
fn poll_interval(options: &StoreOptions, databases: &Databases) -> Duration {
    if options.exclusive && databases.folder.is_some() {
        options.poll_interval.max(EXCLUSIVE_POLL_INTERVAL)
    } else {
        options.poll_interval
    }
}

/// Notices also while nothing is appended that the files are not those that were opened.
async fn watch_files(guard: LogIdentityGuard) {
    while guard.check_files().await.is_ok() {
        sleep(FILE_CHECK_INTERVAL).await;
    }
}

/// Once the log is another one, nothing may be read through this store any more. The task has no part in the data
/// folder's lock, which ends with the store itself.
async fn shut_when_ended(guard: LogIdentityGuard, log: Db, views: Db) {
    let error = guard.ended().await;
    tracing::error!(%error, "the log can't be used; nothing is read or written any more");
    views.shut();
    log.shut();
}
