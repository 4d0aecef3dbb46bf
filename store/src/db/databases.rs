//! The two databases that a URL names, opened: the log's and that of the views. On PostgreSQL both are the same
//! database, in two pools; on SQLite they are two files of one folder.

mod opening;

use super::data_folder::DataFolder;
use super::postgres::{self, SessionSettings};
use super::sqlite::{self, File};
use super::{Db, LogConnection, migration};
#[cfg(test)]
use crate::db::connection_guard::{self, ConnectionGuard};
use crate::error::StoreError;
use crate::options::StoreOptions;
use sqlx::postgres::PgConnectOptions;
#[cfg(test)]
use std::sync::Arc;

/// Why a store that was opened for reading has no views.
#[derive(Debug, Clone)]
pub struct MissingViews {
    /// The fault of `views.db`.
    pub why: String,
    /// Whether the file is there but damaged.
    pub is_damaged: bool,
}

/// The databases of one store. Clones share their connections.
#[derive(Debug, Clone)]
pub(crate) struct Databases {
    pub(crate) log: Db,
    pub(crate) views: Db,
    /// The folder of SQLite's files.
    pub(crate) folder: Option<DataFolder>,
    /// Why there are no views, where they can't be opened for reading.
    pub(crate) without_views: Option<MissingViews>,
    /// The files can be read but not written.
    pub(crate) is_fixed: bool,
    /// The settings of each session of PostgreSQL.
    session: Option<SessionSettings>,
}

impl Databases {
    /// Opens the databases of a test, migrated; every connection counts as verified.
    #[cfg(test)]
    pub(crate) async fn of_test(url: &str) -> Self {
        let options = StoreOptions { url: url.to_owned(), ..StoreOptions::default() };
        let guard: Arc<dyn ConnectionGuard> = Arc::new(connection_guard::AcceptAll);
        let databases = Self::open(&options, true, &guard).await.unwrap();
        databases.migrate().await.unwrap();
        databases
    }

    /// Which migrations belong to the log's database and to that of the views.
    pub(crate) const fn files(&self) -> [(&Db, Option<File>); 2] {
        match self.folder {
            Some(_) => [(&self.log, Some(File::Log)), (&self.views, Some(File::Views))],
            None => [(&self.log, None), (&self.views, None)],
        }
    }

    /// The schema of a PostgreSQL database that has the tables; `None` on SQLite.
    pub(crate) fn schema(&self) -> Option<&str> {
        self.session.as_ref().map(SessionSettings::schema)
    }

    /// How another session of the same PostgreSQL database is made, outside of the pools; `None` on SQLite.
    pub(crate) fn session_options(
        &self,
        options: &StoreOptions,
    ) -> Result<Option<(PgConnectOptions, &SessionSettings)>, StoreError> {
        let connect = |session| Ok((postgres::connect_options(options)?, session));
        self.session.as_ref().map(connect).transpose()
    }

    /// Brings both up to this program's version; the names of the steps that were applied. Where one fails, those of
    /// the other are applied all the same.
    pub(crate) async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let mut applied = Vec::new();
        let mut failed = None;
        for (db, file) in self.files() {
            match migration::apply(db, file).await {
                Ok(names) => applied.extend(names),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(applied), Err)
    }

    /// Takes the folder of SQLite's files for this process alone.
    pub(crate) fn lock_folder(&self) -> Result<(), StoreError> {
        self.folder.as_ref().map_or(Ok(()), DataFolder::lock)
    }

    /// Refuses a schema that isn't for this program.
    pub(crate) async fn require_current_schema(&self) -> Result<(), StoreError> {
        for (db, file) in self.files() {
            migration::check(db, file).await?;
        }
        Ok(())
    }

    /// Opens the connection that other writes than appends go through.
    pub(crate) async fn log_connection(&self) -> Result<LogConnection, StoreError> {
        match (&self.log, &self.folder) {
            (Db::Postgres(pool), _) => Ok(LogConnection::Postgres(pool.clone())),
            (Db::Sqlite { .. }, Some(folder)) if self.is_fixed => {
                Ok(LogConnection::Sqlite(sqlite::no_writer(folder.path()).await?))
            }
            (Db::Sqlite { .. }, Some(folder)) => {
                Ok(LogConnection::Sqlite(sqlite::writer(folder.path()).await?))
            }
            (Db::Sqlite { .. }, None) => {
                Err(StoreError::Misconfigured("SQLite without a folder".to_owned()))
            }
        }
    }

    /// The same error with the file that is damaged, where one is: SQLite itself doesn't say which one it was, so
    /// both are read whole.
    pub(crate) async fn locate(&self, error: StoreError) -> StoreError {
        let (StoreError::Damaged(why), Some(folder)) = (&error, &self.folder) else { return error };
        for (db, file) in [(&self.log, File::Log), (&self.views, File::Views)] {
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

    /// Hands out no connection any more, from now on.
    pub(crate) fn shut(&self) {
        self.views.shut();
        self.log.shut();
    }

    /// Waits for connections in use and closes them.
    pub(crate) async fn close(&self) {
        self.views.close().await;
        self.log.close().await;
    }
}
