//! Torn files: `log.db` and its WAL as a running server has them, the WAL cut off anywhere, as a power
//! cut may leave it. What is left opens as a prefix of the log, and the views follow from just that.

use crate::kills::whole_log;
use crate::ledger::{Ledger, Seen};
use crate::load::Load;
use crate::market::Market;
use crate::seeded::seeded;
use futures::future::join_all;
use gdmarket_projections::Replay;
use gdmarket_store::{RecordedEvent, Store, StoreOptions};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, run, times};
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const CALLERS: usize = 4;
/// Copies that are taken while the server works, and how often each is cut.
const COPIES: usize = 4;
const CUTS: usize = 50;
/// Frames that a WAL has at least before it is copied, so that there is something to cut.
const FRAMES: u32 = 300;
const SOON: Duration = Duration::from_mins(1);
/// Before the first frame of a WAL, and before each of its pages.
const WAL_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const PAGE: usize = 4096;

/// What is in a WAL by the index beside it, in frames: all, and how many of them are in the file already.
/// Of those no power cut takes any away, since they were synced before.
fn frames(folder: &Path) -> Option<(u32, u32)> {
    let index = fs::read(folder.join("log.db-shm")).ok()?;
    let word = |at: usize| index.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
    Some((word(16)?, word(96)?))
}

/// The two files of a moment, the WAL up to its last frame, and them opened once.
struct Copy {
    db: TestDb,
    log: Vec<RecordedEvent>,
    file: Vec<u8>,
    wal: Vec<u8>,
}

impl Copy {
    /// Of a server that stands still meanwhile; `None` at a moment at which the WAL isn't the only place of
    /// what is in it. What was acknowledged until now is in it.
    async fn of(folder: &Path, ledger: &Ledger) -> Option<Self> {
        let (all, in_the_file) = frames(folder)?;
        if all < FRAMES || in_the_file > 0 {
            return None;
        }
        let mut wal = fs::read(folder.join("log.db-wal")).unwrap();
        wal.truncate(WAL_HEADER + usize::try_from(all).unwrap() * (FRAME_HEADER + PAGE));
        let file = fs::read(folder.join("log.db")).unwrap();
        let db = files(&file, &wal).await;
        let log = whole_log(&db).await;
        assert_eq!(ledger.broken_promises(&log), Vec::<String>::new());
        Some(Self { db, log, file, wal })
    }

    async fn taken_while_it_works(server: &Server, ledger: &Ledger) -> Self {
        eventually(SOON, || async {
            server.signal("STOP").await;
            let copy = Self::of(server.data_dir(), ledger).await;
            server.signal("CONT").await;
            copy.ok_or_else(|| frames(server.data_dir()))
        })
        .await
    }

    /// With another WAL.
    async fn with(&self, wal: &[u8]) -> TestDb {
        files(&self.file, wal).await
    }
}

/// A folder with these two files alone.
async fn files(file: &[u8], wal: &[u8]) -> TestDb {
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

/// Every row of every view, built from the log up to this position.
async fn built(db: &TestDb, position: i64) -> BTreeMap<String, Vec<Value>> {
    let store = Store::open(&options(db)).await.unwrap();
    let replay = Replay::new(store.clone());
    let mut views = BTreeMap::new();
    for view in Replay::views() {
        let mut rows = Vec::new();
        let mut keep = |row: Value| rows.push(row);
        replay.as_of(&view, position, &mut keep, &|_, _| ()).await.unwrap();
        views.insert(view, rows);
    }
    store.close().await;
    views
}

fn is_prefix(part: &[RecordedEvent], whole: &[RecordedEvent]) -> bool {
    whole.starts_with(part)
}

/// Places to cut a copy's WAL off, at random.
fn places(copy: &Copy, random: &mut StdRng) -> Vec<usize> {
    (0..CUTS).map(|_| random.random_range(0..=copy.wal.len())).collect()
}

/// Cuts a copy's WAL off at these places; the lengths of the logs that were left.
async fn cut(copy: &Copy, places: Vec<usize>) -> BTreeSet<usize> {
    let mut left = BTreeSet::new();
    for at in places {
        let torn = copy.with(&copy.wal[..at]).await;
        let log = whole_log(&torn).await;
        assert!(is_prefix(&log, &copy.log), "cut at {at}: {} events are no prefix", log.len());
        if left.insert(log.len()) {
            let head = log.last().map_or(0, |event| event.position);
            let (views, expected) = (built(&torn, head).await, built(&copy.db, head).await);
            assert_eq!(views, expected, "cut at {at}, after {} events", log.len());
        }
    }
    left
}

#[test]
fn torn_files_open_as_a_prefix_of_the_log_with_the_views_of_that() {
    run(async {
        let mut random = seeded("torn files");
        let db = TestDb::sqlite();
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::in_folder(folder.path()));
        let server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db).start().await;
        let load = Load::start(&Market::at(&server.url("")), &ledger, CALLERS);
        let mut copies = Vec::new();
        for _ in 0..times(COPIES) {
            let acknowledged = ledger.count(Seen::Acknowledged);
            eventually(SOON, || async {
                let now = ledger.count(Seen::Acknowledged);
                if now > acknowledged + 50 { Ok(()) } else { Err(now) }
            })
            .await;
            copies.push(Copy::taken_while_it_works(&server, &ledger).await);
        }
        load.stop().await;
        drop(server);
        let log = whole_log(&db).await;
        assert!(copies.iter().all(|copy| is_prefix(&copy.log, &log)));
        // Opening a database waits for threads and disks: the copies are cut side by side.
        let cutting = copies.iter().map(|copy| cut(copy, places(copy, &mut random)));
        let cutting: Vec<_> = cutting.collect();
        for (copy, left) in copies.iter().zip(join_all(cutting).await) {
            println!("of {} events were left: {left:?}", copy.log.len());
            assert!(left.len() > CUTS / 5, "the cuts fall into different commits");
        }
        notices_what_is_damaged(&copies[0], &mut random).await;
        notices_what_is_lost(&copies[0], &ledger).await;
    });
}

/// Control: with one event changed it is no prefix, and its views are others.
async fn notices_what_is_damaged(copy: &Copy, random: &mut StdRng) {
    // No view shows an item that was deleted.
    let deleted = copy.log.iter().filter(|event| event.event_type == "ItemDeleted");
    let deleted: Vec<_> = deleted.map(|event| &event.stream).collect();
    let items = copy.log.iter().filter(|event| event.event_type == "ItemRegistered");
    let items = items.filter(|event| !deleted.contains(&&event.stream));
    let items: Vec<i64> = items.map(|event| event.position).collect();
    let position = items[random.random_range(0..items.len())];
    let damaged = copy.with(&copy.wal).await;
    let sql = "UPDATE events SET payload = replace(payload, 'Camera', 'Camerb') WHERE position =";
    damaged.log_sql(&format!("{sql} {position}")).await;
    assert!(!is_prefix(&whole_log(&damaged).await, &copy.log));
    let head = copy.log.last().unwrap().position;
    assert_ne!(built(&damaged, head).await, built(&copy.db, head).await);
}

/// Control: with one byte of a commit in the middle flipped, what was acknowledged after it is missing,
/// and the ledger has it.
async fn notices_what_is_lost(copy: &Copy, ledger: &Ledger) {
    let mut wal = copy.wal.clone();
    let middle = wal.len() / 2;
    wal[middle] ^= 1;
    let log = whole_log(&copy.with(&wal).await).await;
    assert!(log.len() < copy.log.len() && is_prefix(&log, &copy.log));
    let lost = ledger.broken_promises(&log).len() - ledger.broken_promises(&copy.log).len();
    assert!(lost > 0, "nothing acknowledged was in the half after the flipped byte");
}
