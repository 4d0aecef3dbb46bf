//! Scans of the log: the size of their chunks, and the end of a dropped scan.

use crate::support::{LIMIT, append, at_once, counted, open, positions, whole_log};
use gdmarket_store::{Append, NewEvent, Store};
use gdmarket_testkit::{TestDb, eventually, on_each_engine};

/// The number of concurrent scans.
const SCANS: i64 = 3;
const ROUNDS: usize = 5;

/// Appends events with a payload of this many bytes, one per stream.
async fn fill(store: &Store, events: u16, bytes: usize) {
    let appends = (1..=events).map(|number| {
        let event = NewEvent { payload: format!("\"{}\"", "x".repeat(bytes)), ..counted(1) };
        Append { events: vec![event], ..append(number.into(), number.into(), 0) }
    });
    for appended in at_once(store, appends.collect()).await {
        appended.unwrap();
    }
}

/// The number of statements or files that are open for scans of this log.
async fn open_scans(db: &TestDb) -> i64 {
    if let Some(folder) = db.folder() {
        let log = folder.join("log.db").canonicalize().unwrap();
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        let open = open.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
        return i64::try_from(open.filter(|file| *file == log).count()).unwrap();
    }
    let pool = sqlx::PgPool::connect(db.url()).await.unwrap();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
               AND state = 'active' AND query LIKE '%aggregate_type = $3 ORDER BY position%' \
               AND pid <> pg_backend_pid()";
    let open = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
    pool.close().await;
    open
}

/// Waits until at most `most` scans are open.
async fn until_scans_end(db: &TestDb, most: i64) {
    eventually(LIMIT, async || match open_scans(db).await {
        open if open <= most => Ok(()),
        open => Err((most, open)),
    })
    .await;
}

on_each_engine! {
    /// The events that wait between reader and fold are bounded in bytes, and no event is lost at the end of a chunk.
    async fn large_events_come_in_small_chunks(db: &TestDb) {
        let store = open(db).await;
        fill(&store, 12, 400_000).await;
        let mut scan = store.log().scan("counter", 0, store.log().head().await.unwrap());
        let (mut chunks, mut seen) = (Vec::new(), Vec::new());
        while let Some(chunk) = scan.next().await.unwrap() {
            chunks.push(chunk.len());
            seen.extend(chunk.iter().map(|event| event.position));
        }
        assert_eq!(chunks, [3, 3, 3, 3]);
        assert_eq!(seen, positions(&whole_log(&store).await));
        store.close().await;
    }

    /// A dropped scan releases its connection or file.
    async fn dropped_scan_ends(db: &TestDb) {
        let store = open(db).await;
        fill(&store, 120, 400_000).await;
        let head = store.log().head().await.unwrap();
        let before = open_scans(db).await;
        for _ in 0..ROUNDS {
            let mut scans = Vec::new();
            for _ in 0..SCANS {
                let mut scan = store.log().scan("counter", 0, head);
                assert!(scan.next().await.unwrap().is_some());
                scans.push(scan);
            }
            let open = open_scans(db).await;
            assert!(open > before, "no scan is in progress: {before}, {open}");
            drop(scans);
            // SQLite keeps a closed file for the next connection while another connection has it open.
            if db.folder().is_none() {
                until_scans_end(db, before).await;
            }
        }
        store.close().await;
        drop(store);
        until_scans_end(db, 0).await;
    }
}
