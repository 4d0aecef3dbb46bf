//! Torn files: `log.db` and the WAL of a running server, with the WAL cut off anywhere, as a power cut may leave it.
//! The rest opens as a prefix of the log, and the views are those of that prefix.

use crate::load::start_load;
use crate::stored_state::whole_log;
use futures::future::join_all;
use gdmarket_domain::Services;
use gdmarket_projections::Replay;
use gdmarket_store::{Store, StoreOptions};
use gdmarket_testkit::{
    LogEvent, MarketClient, Outcome, RequestLedger, Server, ServerOptions, TestDb, eventually, run,
    seeded_rng, times,
};
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const CALLERS: usize = 4;
/// Copies that are taken while the server works, and the number of cuts of each.
const COPIES: usize = 4;
const CUTS: usize = 50;
/// The fewest frames of a WAL that is copied, so that there is something to cut.
const MIN_FRAMES: u32 = 300;
const SOON: Duration = Duration::from_mins(1);
/// Bytes before the first frame of a WAL, and before the page of each frame.
const WAL_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const PAGE: usize = 4096;

/// The frames of a WAL, from its index file: all of them, and those that are checkpointed into `log.db`. A power cut
/// takes none of the latter, since they were synced before.
fn frames(folder: &Path) -> Option<(u32, u32)> {
    let index = fs::read(folder.join("log.db-shm")).ok()?;
    let word = |at: usize| index.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
    Some((word(16)?, word(96)?))
}

/// The two files at one moment, the WAL up to its last frame, and a database opened on them.
struct FileCopy {
    db: TestDb,
    log: Vec<LogEvent>,
    file: Vec<u8>,
    wal: Vec<u8>,
}

impl FileCopy {
    /// Copies the files of a stopped process; `None` while some frames are checkpointed or there are too few. The copy
    /// has everything that is acknowledged by now.
    async fn of(folder: &Path, ledger: &RequestLedger) -> Option<Self> {
        let (all, checkpointed) = frames(folder)?;
        if all < MIN_FRAMES || checkpointed > 0 {
            return None;
        }
        let mut wal = fs::read(folder.join("log.db-wal")).unwrap();
        wal.truncate(WAL_HEADER + usize::try_from(all).unwrap() * (FRAME_HEADER + PAGE));
        let file = fs::read(folder.join("log.db")).unwrap();
        let db = database_of(&file, &wal).await;
        let log = whole_log(&db).await;
        assert_eq!(ledger.violations(&log), Vec::<String>::new());
        Some(Self { db, log, file, wal })
    }

    async fn of_running(server: &Server, ledger: &RequestLedger) -> Self {
        eventually(SOON, || async {
            server.signal("STOP").await;
            let copy = Self::of(server.data_dir(), ledger).await;
            server.signal("CONT").await;
            copy.ok_or_else(|| frames(server.data_dir()))
        })
        .await
    }

    /// The same with another WAL.
    async fn with_wal(&self, wal: &[u8]) -> TestDb {
        database_of(&self.file, wal).await
    }
}

/// A database of these two files.
async fn database_of(file: &[u8], wal: &[u8]) -> TestDb {
    let db = TestDb::sqlite();
    let folder = db.folder().unwrap();
    fs::write(folder.join("log.db"), file).unwrap();
    fs::write(folder.join("log.db-wal"), wal).unwrap();
    Store::migrate(&options(&db)).await.unwrap();
    db
}

fn options(db: &TestDb) -> StoreOptions {
    StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() }
}

/// All rows of all views, built from the log up to this position.
async fn views_at(db: &TestDb, position: i64) -> BTreeMap<String, Vec<Value>> {
    let store = Store::open(&options(db)).await.unwrap();
    let replay = Replay::new(store.clone());
    let mut views = BTreeMap::new();
    for view in Replay::views(Services::ALL) {
        let mut rows = Vec::new();
        let mut keep = |row: Value| rows.push(row);
        replay.as_of(&view, position, &mut keep, &|_, _| ()).await.unwrap();
        views.insert(view, rows);
    }
    store.close().await;
    views
}

fn is_prefix(part: &[LogEvent], whole: &[LogEvent]) -> bool {
    whole.starts_with(part)
}

/// Random lengths to cut the WAL of a copy to.
fn random_lengths(copy: &FileCopy, random: &mut StdRng) -> Vec<usize> {
    (0..CUTS).map(|_| random.random_range(0..=copy.wal.len())).collect()
}

/// Cuts the WAL of a copy to each of these lengths. Returns the different lengths of the logs, in events.
async fn cut(copy: &FileCopy, wal_lengths: Vec<usize>) -> BTreeSet<usize> {
    let mut log_lengths = BTreeSet::new();
    for at in wal_lengths {
        let torn = copy.with_wal(&copy.wal[..at]).await;
        let log = whole_log(&torn).await;
        assert!(is_prefix(&log, &copy.log), "cut at {at}: {} events are no prefix", log.len());
        if log_lengths.insert(log.len()) {
            let head = log.last().map_or(0, |event| event.position);
            let (views, expected) = (views_at(&torn, head).await, views_at(&copy.db, head).await);
            assert_eq!(views, expected, "cut at {at}, after {} events", log.len());
        }
    }
    log_lengths
}

#[test]
fn torn_files_open_as_a_prefix_of_the_log_with_the_views_of_that_prefix() {
    run(async {
        let mut random = seeded_rng("torn files");
        let db = TestDb::sqlite();
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(RequestLedger::in_folder(folder.path()));
        let server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db).start().await;
        let load = start_load(&MarketClient::at(&server.url("")), &ledger, CALLERS);
        let mut copies = Vec::new();
        for _ in 0..times(COPIES) {
            let acknowledged = ledger.count(Outcome::Acknowledged);
            eventually(SOON, || async {
                let now = ledger.count(Outcome::Acknowledged);
                if now > acknowledged + 50 { Ok(()) } else { Err(now) }
            })
            .await;
            copies.push(FileCopy::of_running(&server, &ledger).await);
        }
        load.stop().await;
        drop(server);
        let log = whole_log(&db).await;
        assert!(copies.iter().all(|copy| is_prefix(&copy.log, &log)));
        // Opening a database waits for threads and disks: the copies are cut concurrently.
        let cuts = copies.iter().map(|copy| cut(copy, random_lengths(copy, &mut random)));
        let cuts: Vec<_> = cuts.collect();
        for (copy, log_lengths) in copies.iter().zip(join_all(cuts).await) {
            println!("logs of the {} events after the cuts: {log_lengths:?}", copy.log.len());
            assert!(log_lengths.len() > CUTS / 5, "the cuts fall into different commits");
        }
        assert_changed_event_is_found(&copies[0], &mut random).await;
        assert_lost_commits_are_found(&copies[0], &ledger).await;
    });
}

/// Control: with one event changed the log is no prefix, and the views differ.
async fn assert_changed_event_is_found(copy: &FileCopy, random: &mut StdRng) {
    // No view shows a deleted item.
    let deleted = copy.log.iter().filter(|event| event.event_type == "ItemDeleted");
    let deleted: Vec<_> = deleted.map(|event| &event.stream).collect();
    let items = copy.log.iter().filter(|event| event.event_type == "ItemRegistered");
    let items = items.filter(|event| !deleted.contains(&&event.stream));
    let items: Vec<i64> = items.map(|event| event.position).collect();
    let position = items[random.random_range(0..items.len())];
    let damaged = copy.with_wal(&copy.wal).await;
    let sql = "UPDATE events SET payload = replace(payload, 'Camera', 'Camerb') WHERE position =";
    damaged.log_sql(&format!("{sql} {position}")).await;
    assert!(!is_prefix(&whole_log(&damaged).await, &copy.log));
    let head = copy.log.last().unwrap().position;
    assert_ne!(views_at(&damaged, head).await, views_at(&copy.db, head).await);
}

/// Control: with one byte in the middle of the WAL flipped, the acknowledged commands after it are missing, and the
/// ledger reports them.
async fn assert_lost_commits_are_found(copy: &FileCopy, ledger: &RequestLedger) {
    let mut wal = copy.wal.clone();
    let middle = wal.len() / 2;
    wal[middle] ^= 1;
    let log = whole_log(&copy.with_wal(&wal).await).await;
    assert!(log.len() < copy.log.len() && is_prefix(&log, &copy.log));
    let lost = ledger.violations(&log).len() - ledger.violations(&copy.log).len();
    assert!(lost > 0, "nothing acknowledged was in the half after the flipped byte");
}
