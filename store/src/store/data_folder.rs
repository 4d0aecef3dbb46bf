//! The folder of SQLite's files, and the file in it that one serving process locks. The system
//! frees the lock when the process ends, however it ends.

use crate::error::StoreError;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A data folder; clones share the lock.
#[derive(Debug, Clone)]
pub(super) struct DataFolder {
    path: PathBuf,
    lock: Arc<Mutex<Option<File>>>,
}

impl DataFolder {
    /// Opens the folder; makes it if told so, else one without a log needs a migration.
    pub(super) fn open(path: PathBuf, make: bool) -> Result<Self, StoreError> {
        let there = path.join("log.db").exists() && path.join("views.db").exists();
        if make {
            fs::create_dir_all(&path).map_err(|error| cannot_use(&path, &error))?;
        } else if !there {
            return Err(StoreError::NeedsMigration {
                schema: 0,
                program: crate::migrate::newest(None),
            });
        }
        Ok(Self { path, lock: Arc::default() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the folder for this process alone; again is harmless.
    pub(super) fn lock(&self) -> Result<(), StoreError> {
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            return Ok(());
        }
        let path = self.path.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| cannot_use(&path, &error))?;
        match file.try_lock() {
            Ok(()) => {
                *held = Some(file);
                Ok(())
            }
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked(self.path.clone())),
            Err(TryLockError::Error(error)) => Err(cannot_use(&path, &error)),
        }
    }
}

fn cannot_use(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Misconfigured(format!("{} can't be used: {error}", path.display()))
}
