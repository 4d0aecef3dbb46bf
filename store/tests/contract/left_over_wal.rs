//! A write-ahead log next to SQLite's log is recognised as its own or as a foreign one, whatever the times of the files
//! are, and a start fails when it can't be checkpointed.

use crate::support::*;
use gdmarket_store::{Store, StoreError, StoreOptions};
use gdmarket_testkit::{TestDb, run};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn exclusive(folder: &Path) -> StoreOptions {
    let url = format!("sqlite:{}", folder.display());
    StoreOptions { url, exclusive: true, ..StoreOptions::default() }
}

async fn serve(folder: &Path) -> Result<Store, StoreError> {
    Store::migrate(&exclusive(folder)).await?;
    Store::open(&exclusive(folder)).await
}

/// Closes the store; its folder is free when this returns.
async fn end(store: Store) {
    store.close().await;
}

async fn append_some(store: &Store, commands: std::ops::Range<u128>) {
    for command in commands {
        let number = i64::try_from(command).unwrap();
        store.appender().append(append(command, number, 0)).await.unwrap();
    }
}

/// Copies a file with its times by another process, because closing a file in this process would end SQLite's locks on it.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-p").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// A copy of the files that the process would leave if it crashed now.
fn crashed(folder: &Path) -> TestDb {
    let left = TestDb::sqlite();
    for file in ["log.db", "log.db-wal", "views.db", "views.db-wal"] {
        if folder.join(file).exists() {
            copy(&folder.join(file), &left.folder().unwrap().join(file));
        }
    }
    left
}

/// Makes the file younger, as copying, touching or repairing it does.
fn make_younger(file: &Path) {
    let later = fs::metadata(file).unwrap().modified().unwrap() + Duration::from_hours(1);
    File::options().write(true).open(file).unwrap().set_modified(later).unwrap();
}

#[test]
fn write_ahead_log_of_a_crash_is_read_though_the_file_is_younger() {
    run(async {
        let db = TestDb::sqlite();
        let folder = db.folder().unwrap();
        for (round, more) in [(0, 1), (1, 5), (2, 300)] {
            let store = serve(folder).await.unwrap();
            append_some(&store, round * 1_000..round * 1_000 + more).await;
            let left = crashed(folder);
            let events = whole_log(&store).await.len();
            for file in ["log.db", "views.db"] {
                make_younger(&left.folder().unwrap().join(file));
            }
            let again = serve(left.folder().unwrap()).await.unwrap();
            assert_eq!(whole_log(&again).await.len(), events, "round {round}");
            end(again).await;
            end(store).await;
        }
    });
}

#[test]
fn older_copy_is_refused_next_to_a_newer_write_ahead_log_whatever_its_time() {
    run(async {
        for (runs, more) in [(1, 1), (1, 5), (1, 300), (3, 2)] {
            let db = TestDb::sqlite();
            let folder = db.folder().unwrap();
            let store = serve(folder).await.unwrap();
            append_some(&store, 0..20).await;
            end(store).await;
            let older = TestDb::sqlite();
            copy(&folder.join("log.db"), &older.folder().unwrap().join("log.db"));
            for run in 1..=runs {
                let store = serve(folder).await.unwrap();
                append_some(&store, run * 1_000..run * 1_000 + more).await;
                if run < runs {
                    end(store).await;
                    continue;
                }
                let left = crashed(folder);
                let left = left.folder().unwrap();
                copy(&older.folder().unwrap().join("log.db"), &left.join("log.db"));
                let served = serve(left).await.map(|_| ());
                assert!(
                    matches!(&served, Err(StoreError::ForeignWal(_))),
                    "{runs} runs, {more} more: {served:?}"
                );
                end(store).await;
            }
        }
    });
}

/// Another process that reads the database until it is ended.
struct Reader(Child);

const READ: &str = "import sqlite3, sys\n\
    c = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
    c.execute('BEGIN'); c.execute('SELECT count(*) FROM numbers').fetchone()\n\
    print('reads', flush=True)\n\
    sys.stdin.read()";
const WRITE: &str = "import sqlite3, sys\n\
    c = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
    c.execute(\"INSERT INTO numbers (kind, last) VALUES ('other', 1)\"); c.close()";

impl Reader {
    fn of(log: &Path) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", READ])
            .arg(log)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "reads\n");
        Self(child)
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

#[test]
fn server_does_not_start_while_a_reader_blocks_the_checkpoint_of_the_write_ahead_log() {
    run(async {
        let db = TestDb::sqlite();
        let folder = db.folder().unwrap();
        let store = serve(folder).await.unwrap();
        append_some(&store, 0..5).await;
        end(store).await;
        let log = folder.join("log.db");
        let reader = Reader::of(&log);
        let written = Command::new("python3").args(["-c", WRITE]).arg(&log).status().unwrap();
        assert!(written.success());
        assert!(fs::metadata(folder.join("log.db-wal")).unwrap().len() > 0);
        let served = Store::open(&exclusive(folder)).await.map(|_| ());
        assert!(
            matches!(&served, Err(StoreError::Unavailable(why)) if why.contains("can't be checkpointed")),
            "{served:?}"
        );
        reader.end();
        let store = Store::open(&exclusive(folder)).await.unwrap();
        assert_eq!(whole_log(&store).await.len(), 5);
        end(store).await;
    });
}

/// While a reader is active, the number of a run is written, but not checkpointed into the file.
#[test]
fn server_starts_after_a_crash_that_followed_starts_next_to_a_reader() {
    run(async {
        let db = TestDb::sqlite();
        let folder = db.folder().unwrap();
        let log = folder.join("log.db");
        let store = serve(folder).await.unwrap();
        append_some(&store, 0..5).await;
        end(store).await;
        for start in 1..=3 {
            let reader = Reader::of(&log);
            let store = serve(folder).await.unwrap();
            append_some(&store, start * 1_000..start * 1_000 + 5).await;
            let left = crashed(folder);
            let events = whole_log(&store).await.len();
            reader.end();
            let again = serve(left.folder().unwrap()).await.unwrap();
            assert_eq!(whole_log(&again).await.len(), events, "start {start}");
            end(again).await;
            end(store).await;
        }
    });
}
