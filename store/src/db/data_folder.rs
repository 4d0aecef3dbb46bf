//! The folder of SQLite's files, and the file in it that one serving process locks. The system
//! frees the lock when the process ends, however it ends.
//!
//! The folder and its files are for their owner alone: they hold names of persons.

use crate::db::{migration, sqlite};
use crate::error::StoreError;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// For the owner alone.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// The rights of others.
const OTHERS: u32 = 0o077;
/// Of a folder that many share, as `/tmp`.
const STICKY: u32 = 0o1000;

/// A data folder; clones share the lock.
#[derive(Debug, Clone)]
pub(crate) struct DataFolder {
    path: PathBuf,
    lock: Arc<Mutex<Option<LockedFile>>>,
}

/// A locked file, unlocked when it is dropped. Closing it would not be enough: a child process that another thread
/// starts has a copy of the descriptor until its `exec`, and the lock ends with the last copy.
#[derive(Debug)]
struct LockedFile(File);

impl Drop for LockedFile {
    fn drop(&mut self) {
        // Without success the lock ends when the last copy is closed.
        let _unlocked = self.0.unlock();
    }
}

impl DataFolder {
    /// The folder as it is.
    fn at(path: PathBuf) -> Self {
        Self { path, lock: Arc::default() }
    }

    /// Opens the folder; creates it if `make`, else a folder without a log needs a migration.
    pub(crate) fn open(path: PathBuf, make: bool, needs_views: bool) -> Result<Self, StoreError> {
        let (log, views) = (sqlite::File::Log.path(&path), sqlite::File::Views.path(&path));
        if make {
            make_private_folder(&path)?;
            for file in [log, views] {
                make_private_file(&file)?;
            }
        } else if !log.exists() || (needs_views && !views.exists()) {
            return Err(StoreError::NeedsMigration { schema: 0, program: migration::newest(None) });
        }
        Ok(Self::at(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Locks the folder for this process alone; locking it again is harmless.
    pub(crate) fn lock(&self) -> Result<(), StoreError> {
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            return Ok(());
        }
        let path = self.path.join("lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(FILE_MODE);
        let file = options.open(&path).map_err(|error| StoreError::of_file(&path, &error))?;
        match file.try_lock() {
            Ok(()) => {
                *held = Some(LockedFile(file));
                Ok(())
            }
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked(self.path.clone())),
            Err(TryLockError::Error(error)) => Err(StoreError::of_file(&path, &error)),
        }
    }

    /// Whether this process has the lock.
    pub(crate) fn is_locked(&self) -> bool {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Whether another process serves from it, or this one by another handle. Reading the file is enough, so that
    /// this is known where the folder can't be written from here.
    pub(crate) fn is_served(&self) -> bool {
        let Ok(file) = File::open(self.path.join("lock")) else { return false };
        let locked = file.try_lock_shared();
        drop(LockedFile(file));
        matches!(locked, Err(TryLockError::WouldBlock))
    }

    /// Removes the rights of other users on the files, where they belong to this user.
    pub(crate) fn tighten(&self) {
        let mut paths = vec![self.path.clone(), self.path.join("lock")];
        for file in [sqlite::File::Log, sqlite::File::Views] {
            for suffix in ["", "-wal", "-shm"] {
                let mut path = file.path(&self.path).into_os_string();
                path.push(suffix);
                paths.push(PathBuf::from(path));
            }
        }
        for path in paths {
            tighten(&path);
        }
    }
}

/// Creates a folder for this user alone, with its parent folders.
pub fn make_private_folder(path: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path);
    made.map_err(|error| StoreError::of_file(path, &error))
}

/// Creates an empty file for this user alone, unless there is one. SQLite gives the files that it keeps
/// next to a database the same mode.
fn make_private_file(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().create_new(true).write(true).mode(FILE_MODE).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::of_file(path, &error)),
    }
}

/// Only the owner may change a mode, so that nothing happens to another user's file.
fn tighten(path: &Path) {
    let Ok(found) = fs::symlink_metadata(path) else { return };
    let mode = found.mode() & 0o7777;
    if found.is_symlink() || mode & OTHERS == 0 || mode & STICKY != 0 {
        return;
    }
    if let Err(error) = fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS)) {
        tracing::warn!(path = %path.display(), %error, "others may read this file");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_ends_with_the_folder_although_a_copy_of_its_descriptor_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataFolder::at(folder.path().to_owned());
        first.lock().unwrap();
        // A child process has such a copy between its fork and its `exec`.
        let copy = first.lock.lock().unwrap().as_ref().unwrap().0.try_clone().unwrap();
        let second = DataFolder::at(folder.path().to_owned());
        assert!(matches!(second.lock(), Err(StoreError::Locked(_))), "control: it is locked");
        assert!(second.is_served());
        drop(first);
        assert!(!second.is_served());
        second.lock().unwrap();
        drop(copy);
    }
}
