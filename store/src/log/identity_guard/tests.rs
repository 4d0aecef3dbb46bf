//! What an operator is told of a log's file that was overwritten.

use super::{LogIdentityGuard, OpenFiles};
use crate::db::sqlite::File;
use crate::error::StoreError;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use std::fs;
use std::path::Path;

/// A log with so many events, and views, as far as the guard looks at them.
async fn files(folder: &Path, events: usize) {
    fs::write(File::Views.path(folder), "").unwrap();
    let options =
        SqliteConnectOptions::new().filename(File::Log.path(folder)).create_if_missing(true);
    let mut log = options.connect().await.unwrap();
    let tables = "CREATE TABLE identity (id INTEGER, log_id BLOB, epoch INTEGER); \
                  INSERT INTO identity VALUES (1, zeroblob(16), 1); \
                  CREATE TABLE events (position INTEGER PRIMARY KEY, metadata TEXT)";
    log.execute(tables).await.unwrap();
    for _ in 0..events {
        log.execute("INSERT INTO events (metadata) VALUES (hex(zeroblob(5000)))").await.unwrap();
    }
    log.close().await.unwrap();
}

/// A guard of a log with three events, and the bytes of a copy with one.
async fn guarded(folder: &Path) -> (LogIdentityGuard, Vec<u8>) {
    let older = tempfile::tempdir().unwrap();
    files(older.path(), 1).await;
    files(folder, 3).await;
    let guard = LogIdentityGuard::default();
    guard.expect_files(OpenFiles::remember(folder).await.unwrap());
    (guard, fs::read(File::Log.path(older.path())).unwrap())
}

#[tokio::test]
async fn log_that_was_overwritten_is_not_called_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let (guard, older) = guarded(folder.path()).await;
    fs::write(File::Log.path(folder.path()), older).unwrap();
    guard.notice(&StoreError::Damaged("malformed".to_owned()));
    let told = guard.ended().await.to_string();
    assert!(told.contains("overwritten with an older copy"), "{told}");
}

#[tokio::test]
async fn log_that_was_not_overwritten_is_called_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let (guard, _) = guarded(folder.path()).await;
    guard.notice(&StoreError::Damaged("malformed".to_owned()));
    let told = guard.ended().await.to_string();
    assert!(told.contains("malformed"), "{told}");
}

#[tokio::test]
async fn smaller_file_is_another_one_while_its_content_proves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (guard, older) = guarded(folder.path()).await;
    let log = File::Log.path(folder.path());
    // The index of a write-ahead log whose checkpoint was begun and not ended.
    let mut index = vec![0_u8; 136];
    for (field, value) in [(16, 2_u32), (96, 1), (128, 2)] {
        index[field..field + 4].copy_from_slice(&value.to_ne_bytes());
    }
    fs::write(folder.path().join("log.db-shm"), index).unwrap();
    guard.check_files().await.unwrap();
    fs::write(log, older).unwrap();
    let refused = guard.check_files().await.unwrap_err().to_string();
    assert!(refused.contains("overwritten with an older copy"), "{refused}");
}
