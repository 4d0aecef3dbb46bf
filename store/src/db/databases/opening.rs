//! Opens the databases of a URL: PostgreSQL by two pools, SQLite's two files after an inspection.

use super::{Databases, MissingViews};
use crate::db::connection_guard::ConnectionGuard;
use crate::db::data_folder::DataFolder;
use crate::db::inspection::{Inspection, inspect, require_log};
use crate::db::sqlite::{self, File};
use crate::db::{Db, migration, postgres};
use crate::error::{StorageFault, StoreError};
use crate::options::StoreOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest log that a start verifies after a process that died; a larger one takes too long.
const MAX_VERIFIED_AT_START: u64 = 64 * 1024 * 1024;

impl Databases {
    /// Opens the databases of the URL; `make` creates missing ones. `guard` verifies each new connection of PostgreSQL.
    pub(crate) async fn open(
        options: &StoreOptions,
        make: bool,
        guard: &Arc<dyn ConnectionGuard>,
    ) -> Result<Self, StoreError> {
        if options.url.starts_with("postgres://") || options.url.starts_with("postgresql://") {
            let session = postgres::reach(options).await?;
            let log = Db::Postgres(postgres::log_pool(options, &session, guard)?);
            let views = Db::Postgres(postgres::views_pool(options, &session, guard)?);
            let (folder, session, without_views) = (None, Some(session), None);
            return Ok(Self { log, views, folder, without_views, is_fixed: false, session });
        }
        let Some(path) = sqlite::folder(&options.url) else {
            let why = "the database's URL must be sqlite:<folder> or postgres://…";
            return Err(StoreError::Misconfigured(why.to_owned()));
        };
        Self::open_folder(options, path, make).await
    }

    async fn open_folder(
        options: &StoreOptions,
        path: PathBuf,
        make: bool,
    ) -> Result<Self, StoreError> {
        if make {
            require_log(&path).await?;
        }
        let folder = DataFolder::open(path, make, !options.reading)?;
        if options.exclusive {
            folder.lock()?;
        }
        let found = inspect_folder(options, folder.clone()).await?;
        folder.tighten();
        let (log, is_fixed) = open_file(options, &folder, File::Log, found).await?;
        if found.is_unclean && is_small(&File::Log.path(folder.path())) {
            let whole = sqlite::verify(&log).await;
            whole.map_err(|error| error.in_file(&File::Log.path(folder.path())))?;
        }
        if found.is_unclean && options.exclusive {
            let moved = sqlite::checkpoint_wal(&log).await;
            moved.map_err(|error| error.in_file(&File::Log.path(folder.path())))?;
        }
        let (views, without_views) = views(options, &folder, found).await?;
        // A migration is no run. Next to a reader its number would stay in the write-ahead log, so that the next run
        // would look like one after a crash.
        if options.exclusive && !make {
            for (db, file) in [(&log, File::Log), (&views, File::Views)] {
                let started = sqlite::begin_run(db).await;
                started.map_err(|error| error.in_file(&file.path(folder.path())))?;
            }
        }
        Ok(Self { log, views, folder: Some(folder), without_views, is_fixed, session: None })
    }
}

async fn inspect_folder(
    options: &StoreOptions,
    folder: DataFolder,
) -> Result<Inspection, StoreError> {
    let (trust, is_ours) = (options.wal, options.exclusive);
    blocking(move || inspect(&folder, trust, is_ours)).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StoreError::Unavailable(error.to_string()))?
}

fn is_small(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| found.len() <= MAX_VERIFIED_AT_START)
}

/// Opens one of the files; returns too whether it is only read. A file that can't be written from here is read as it is
/// where no process writes to it, and as one of its readers where a server does.
async fn open_file(
    options: &StoreOptions,
    folder: &DataFolder,
    file: File,
    found: Inspection,
) -> Result<(Db, bool), StoreError> {
    use StorageFault::{CannotOpen, ReadOnly};
    let error = match file.open(options, folder.path()).await {
        Err(error @ StoreError::Storage { fault: ReadOnly | CannotOpen, .. }) => error,
        opened => return Ok((opened?, false)),
    };
    if !options.reading {
        return Err(error);
    }
    if folder.is_served() {
        return Ok((file.open_next_to_a_writer(options, folder.path()).await?, true));
    }
    if file == File::Log && found.is_unclean {
        return Err(error);
    }
    Ok((file.open_fixed(options, folder.path()).await?, true))
}

/// Opens the views; for reading, an empty database in their place where they are missing or damaged.
async fn views(
    options: &StoreOptions,
    folder: &DataFolder,
    found: Inspection,
) -> Result<(Db, Option<MissingViews>), StoreError> {
    let path = File::Views.path(folder.path());
    if !options.reading {
        return Ok((File::Views.open(options, folder.path()).await?, None));
    }
    let opened = if path.exists() {
        open_file(options, folder, File::Views, found).await.map(|(views, _)| views)
    } else {
        Err(StoreError::LogMissing(format!("there is no {}", path.display())))
    };
    let readable = match opened {
        Ok(views) => migration::check(&views, Some(File::Views)).await.map(|()| views),
        Err(error) => Err(error),
    };
    match readable {
        Ok(views) => Ok((views, None)),
        Err(error @ (StoreError::Unavailable(_) | StoreError::TooNew { .. })) => Err(error),
        Err(error) => {
            let nothing = sqlite::in_memory().await?;
            migration::apply(&nothing, Some(File::Views)).await?;
            let is_damaged = matches!(error, StoreError::Damaged(_));
            let why = match error {
                StoreError::LogMissing(why) => why,
                error => error.to_string(),
            };
            Ok((nothing, Some(MissingViews { why, is_damaged })))
        }
    }
}
