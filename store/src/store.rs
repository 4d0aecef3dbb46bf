//! The way in: opens the engine that the URL names and hands out what hangs on the log.

mod data_folder;
mod inspection;
mod opening;

pub use data_folder::make_private_folder;

use crate::aggregate_store::{AggregateStore, DecodeEvent, decode_as_is};
use crate::appender::{Appender, PostgresWriter, Signals, SqliteWriter};
use crate::books::Books;
use crate::checkpoint::Checkpoints;
use crate::continuity::Continuity;
use crate::db::open_files::OpenFiles;
use crate::db::postgres::SessionSettings;
use crate::db::sqlite::{self, File};
use crate::db::{Db, LogConnection, postgres};
use crate::error::StoreError;
use crate::event_log::EventLog;
use crate::identity::Identity;
use crate::migrate::{self, Migrated};
use crate::numbers::{NumberKind, Numbers};
use crate::options::StoreOptions;
use crate::personal_data::PersonalDataTable;
use crate::receipt::Receipts;
use crate::restore::{self, Restored};
use crate::schema;
use crate::stream_loader::{StreamLoader, Streams};
use crate::tail::Tail;
use cqrs_es::Aggregate;
use data_folder::DataFolder;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// How often the tail looks for others when there should be none.
const ALONE: Duration = Duration::from_secs(1);

/// How often SQLite's files are compared with their paths on a quiet market.
const FILES_EVERY: Duration = Duration::from_secs(1);

/// Why a store that was opened for reading has no views.
#[derive(Debug, Clone)]
pub struct MissingViews {
    /// What is wrong with `views.db`.
    pub why: String,
    /// Whether the file is there but damaged.
    pub is_damaged: bool,
}

/// An event log and all that hangs on it. Clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    log_db: Db,
    views: Db,
    folder: Option<DataFolder>,
    without_views: Option<MissingViews>,
    connection: LogConnection,
    cache_entries: u64,
    log: EventLog,
    loader: StreamLoader,
    appender: Appender,
    receipts: Receipts,
    numbers: Numbers,
    personal_data: PersonalDataTable,
    books: Books,
    tail: Tail,
    identity: Identity,
    schema: Option<String>,
    continuity: Continuity,
    aggregates: RwLock<HashMap<TypeId, Box<dyn Any + Send + Sync>>>,
    tracker: TaskTracker,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("identity", &self.0.identity).finish_non_exhaustive()
    }
}

/// The databases that a URL stands for; on PostgreSQL both are the same, in two pools.
pub(crate) struct Databases {
    pub(crate) log: Db,
    pub(crate) views: Db,
    folder: Option<DataFolder>,
    continuity: Continuity,
    /// What each session of PostgreSQL begins with.
    session: Option<SessionSettings>,
    /// Why there are no views, where they can't be opened for reading.
    without_views: Option<MissingViews>,
    /// The files can be read but not written.
    is_fixed: bool,
}

impl Databases {
    /// Which migrations belong to the log's database and to that of the views.
    pub(crate) const fn files(&self) -> [(&Db, Option<File>); 2] {
        match self.folder {
            Some(_) => [(&self.log, Some(File::Log)), (&self.views, Some(File::Views))],
            None => [(&self.log, None), (&self.views, None)],
        }
    }

    /// The schema of a PostgreSQL database that has the tables.
    fn schema(&self) -> Option<&str> {
        self.session.as_ref().map(SessionSettings::schema)
    }

    pub(crate) async fn close(&self) {
        self.views.close().await;
        self.log.close().await;
    }
}

impl Store {
    /// Opens a store whose schema is there already.
    ///
    /// # Errors
    /// [`StoreError::NeedsMigration`] for an empty or older schema, [`StoreError::TooNew`] for one
    /// that doesn't serve this program, [`StoreError::Locked`] when the data folder was asked for
    /// exclusively and another process has it, [`StoreError::Unavailable`] without a database.
    pub async fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        let databases = Databases::open(options, false).await?;
        match Self::start(options, &databases).await {
            Ok(store) => Ok(store),
            Err(error) => {
                let dbs = [&databases.log, &databases.views];
                let error = locate(error, databases.folder.as_ref(), dbs).await;
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
        let databases = Databases::open(options, true).await?;
        let mut applied = Vec::new();
        let mut failed = None;
        if let Err(error) = schema::refuse_encoding(&databases.log).await {
            databases.close().await;
            return Err(error);
        }
        for (db, file) in databases.files() {
            match migrate::apply(db, file).await {
                Ok(names) => applied.extend(names),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        for of in kinds {
            if failed.is_none() {
                failed = of.make_index(&databases.log).await.err();
            }
        }
        databases.close().await;
        let schema = databases.schema().map(str::to_owned);
        failed.map_or(Ok(Migrated { applied, schema }), Err)
    }

    /// Says that the log was restored from an older copy: raises its epoch, and makes what was read
    /// from it fit. Nobody else should have it open; who has notices and stops.
    pub async fn restored(options: &StoreOptions) -> Result<Restored, StoreError> {
        let databases = Databases::open(options, false).await?;
        let declared = async {
            for (db, file) in databases.files() {
                migrate::check(db, file).await?;
            }
            sqlite::verify(&databases.log).await?;
            restore::declare(&databases.log, &databases.views).await
        };
        let declared = declared.await;
        databases.close().await;
        declared
    }

    async fn start(options: &StoreOptions, databases: &Databases) -> Result<Self, StoreError> {
        for (db, file) in databases.files() {
            migrate::check(db, file).await?;
        }
        let Databases { log: log_db, views, folder, continuity, .. } = databases;
        let identity = Identity::read(log_db).await?;
        continuity.begin(identity);
        let (tracker, stop, signals) =
            (TaskTracker::new(), CancellationToken::new(), Signals::new(continuity.clone()));
        let start = (Arc::clone(&signals), options.queue, stop.clone());
        let (connection, appender) = appending(options, databases, start, &tracker).await?;
        if let (Some(folder), false) = (folder, databases.is_fixed) {
            continuity.begin_files(OpenFiles::remember(folder.path())?);
            tracker.spawn(stop.clone().run_until_cancelled_owned(watch_files(continuity.clone())));
        }
        let pools = (log_db.clone(), views.clone());
        tracker.spawn(give_up(continuity.clone(), pools, stop.clone()));
        let watched = (continuity, &tracker);
        let loader = StreamLoader::start(Streams, log_db, watched, &stop);
        let log = EventLog::new(log_db.clone(), loader.clone(), (tracker.clone(), stop.clone()));
        let alone = options.exclusive && folder.is_some();
        let poll = if alone { options.poll_interval.max(ALONE) } else { options.poll_interval };
        let size = (options.tail_events, poll);
        Ok(Self(Arc::new(Inner {
            tail: Tail::new(log.clone(), signals, size, tracker.clone(), stop.clone()),
            log,
            loader,
            appender,
            receipts: Receipts::start(log_db, watched, &stop),
            numbers: Numbers::start(log_db, &connection, continuity, &tracker, stop.clone()),
            books: Books::new(log_db.clone(), connection.clone(), continuity.clone()),
            personal_data: PersonalDataTable::new(
                log_db.clone(),
                connection.clone(),
                continuity.clone(),
            ),
            connection,
            without_views: databases.without_views.clone(),
            identity,
            schema: databases.schema().map(str::to_owned),
            continuity: continuity.clone(),
            log_db: log_db.clone(),
            views: views.clone(),
            folder: folder.clone(),
            cache_entries: options.cache_entries,
            aggregates: RwLock::default(),
            tracker,
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
        })))
    }

    /// Takes the data folder for this process alone, until the store is dropped. Without effect on
    /// PostgreSQL, where several processes may serve.
    pub fn lock_data_folder(&self) -> Result<(), StoreError> {
        self.0.folder.as_ref().map_or(Ok(()), DataFolder::lock)
    }

    /// The log, for reading.
    pub fn log(&self) -> &EventLog {
        &self.0.log
    }

    /// The way into the log.
    pub fn appender(&self) -> &Appender {
        &self.0.appender
    }

    /// What commands did.
    pub fn receipts(&self) -> &Receipts {
        &self.0.receipts
    }

    /// Draws numbers.
    pub fn numbers(&self) -> &Numbers {
        &self.0.numbers
    }

    /// Names of persons.
    pub fn personal_data(&self) -> &PersonalDataTable {
        &self.0.personal_data
    }

    /// What is written down beside the log.
    pub fn books(&self) -> &Books {
        &self.0.books
    }

    /// What is new in the log.
    pub fn tail(&self) -> &Tail {
        &self.0.tail
    }

    /// Who this log is.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Refuses a log that ends before what a subscription has read of it, and one that isn't the log
    /// that they have read. Appended to, it would in time reach those positions with other events, and
    /// nobody could tell any more.
    pub async fn require_whole(&self) -> Result<(), StoreError> {
        // In this order: others may be at work, and then the log is ahead of what they have read.
        let checkpoints = Checkpoints::new(self.0.views.clone());
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

    /// Waits until the log under this process is noticed to be another one than was opened (restored
    /// from an older copy, replaced); says why. From then on nothing is appended or read through
    /// this store; its process should end, and start afresh, without closing the files: closing folds
    /// what was written into a file that may be another one.
    pub async fn log_replaced(&self) -> StoreError {
        let why = self.0.continuity.ended().await;
        self.0.views.shut();
        self.0.log_db.shut();
        why
    }

    /// Why there are no views, where the store was opened for reading and `views.db` is missing or damaged:
    /// then they are empty.
    pub fn without_views(&self) -> Option<&MissingViews> {
        self.0.without_views.as_ref()
    }

    /// The same error with the file that is damaged, where one is: it reads all of both.
    pub async fn locate(&self, error: StoreError) -> StoreError {
        locate(error, self.0.folder.as_ref(), [&self.0.log_db, &self.0.views]).await
    }

    /// Where views and their checkpoints live: a file of its own on SQLite.
    pub fn views(&self) -> &Db {
        &self.0.views
    }

    /// The log's database, for what reads all of it.
    pub(crate) fn log_db(&self) -> &Db {
        &self.0.log_db
    }

    /// The schema of a PostgreSQL database that has the tables; `None` on SQLite.
    pub fn schema(&self) -> Option<&str> {
        self.0.schema.as_deref()
    }

    /// Waits until the database answers, once.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.0.log.head().await.map(|_| ())
    }

    /// Refuses where the log that was read isn't the one that was opened any more. Whatever is answered without an
    /// append rests on reading alone, and SQLite reads on in a file that was overwritten.
    pub async fn confirm_log(&self) -> Result<(), StoreError> {
        self.0.continuity.check_files().await
    }

    /// The aggregates of one type, with one cache for the whole process. Events are read as they
    /// are; who has upcasters says so first with [`Store::aggregates_with`].
    pub fn aggregates<A: Aggregate + Clone + 'static>(&self) -> AggregateStore<A> {
        self.aggregates_with(decode_as_is::<A>)
    }

    /// As [`Store::aggregates`]; whoever comes first decides how events are read.
    pub fn aggregates_with<A: Aggregate + Clone + 'static>(
        &self,
        decode: DecodeEvent<A>,
    ) -> AggregateStore<A> {
        let known = self.0.aggregates.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(&TypeId::of::<A>()).and_then(|any| any.downcast_ref());
        if let Some(found) = found {
            return AggregateStore::clone(found);
        }
        drop(known);
        let inner = &self.0;
        let fresh = || {
            let (loader, appender) = (inner.loader.clone(), inner.appender.clone());
            AggregateStore::new(inner.cache_entries, loader, appender, decode)
        };
        let mut known = inner.aggregates.write().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(TypeId::of::<A>()).or_insert_with(|| Box::new(fresh()));
        entry.downcast_ref::<AggregateStore<A>>().map_or_else(fresh, AggregateStore::clone)
    }

    /// Writes what the appender was given, then closes the connections. Appending afterwards is
    /// refused.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.tracker.close();
        self.0.tracker.wait().await;
        // The last connection folds its write-ahead log, which must not get into a file put there since.
        let are_ours = self.0.continuity.check_files().await.is_ok();
        self.0.views.close().await;
        self.0.log_db.close().await;
        if let LogConnection::Sqlite(writer) = &self.0.connection
            && are_ours
        {
            sqlite::close_writer(writer).await;
            if let Some(folder) = self.0.folder.as_ref().filter(|folder| folder.is_locked()) {
                sqlite::fold_left_over(folder.path()).await;
            }
        }
    }
}

/// Finds the damaged file: SQLite itself doesn't say which one it was.
async fn locate(error: StoreError, folder: Option<&DataFolder>, dbs: [&Db; 2]) -> StoreError {
    let (StoreError::Damaged(why), Some(folder)) = (&error, folder) else { return error };
    for (db, file) in dbs.into_iter().zip([File::Log, File::Views]) {
        let path = file.path(folder.path());
        if why.contains(&path.display().to_string()) {
            return error;
        }
        if let Err(found @ StoreError::Damaged(_)) = sqlite::verify(db).await {
            return found.in_file(&path);
        }
    }
    error
}

/// Who appends, and the connection that other writes to the log go through.
async fn appending(
    options: &StoreOptions,
    databases: &Databases,
    start: (Arc<Signals>, usize, CancellationToken),
    tracker: &TaskTracker,
) -> Result<(LogConnection, Appender), StoreError> {
    match (&databases.log, &databases.folder) {
        (Db::Postgres(pool), _) => {
            let session = databases.session.as_ref().ok_or_else(|| {
                StoreError::Misconfigured("PostgreSQL without settings of its sessions".to_owned())
            })?;
            let connect = postgres::connect_options(options)?;
            let writer = PostgresWriter::new(connect, session, databases.continuity.clone());
            let appender = Appender::start(writer, start, tracker);
            Ok((LogConnection::Postgres(pool.clone()), appender))
        }
        (Db::Sqlite { .. }, Some(folder)) => {
            let one = if databases.is_fixed {
                sqlite::no_writer(folder.path()).await?
            } else {
                sqlite::writer(folder.path()).await?
            };
            let writer = SqliteWriter::new(Arc::clone(&one));
            Ok((LogConnection::Sqlite(one), Appender::start(writer, start, tracker)))
        }
        (Db::Sqlite { .. }, None) => {
            Err(StoreError::Misconfigured("SQLite without a folder".to_owned()))
        }
    }
}

/// Notices on a quiet market too that the files are not those that were opened.
async fn watch_files(continuity: Continuity) {
    while continuity.check_files().await.is_ok() {
        sleep(FILES_EVERY).await;
    }
}

/// Once the log is another one nobody may read it through this store any more.
async fn give_up(continuity: Continuity, (log, views): (Db, Db), stop: CancellationToken) {
    let Some(error) = stop.run_until_cancelled(continuity.ended()).await else { return };
    tracing::error!(%error, "the log can't be used; nothing is read or written any more");
    views.shut();
    log.shut();
}
