//! Scans, as their callers see them: how large chunks are, and what is left of a scan that was dropped.

use crate::support::{LIMIT, append, at_once, counted, open, positions, whole_log};
use gdmarket_store::{Append, NewEvent, Store};
use gdmarket_testkit::{TestDb, eventually, on_each_engine};

/// Scans at the same time.
const SCANS: i64 = 3;
const ROUNDS: usize = 5;

/// Events with a payload of so many bytes, one to a stream.
async fn fill(store: &Store, events: u16, bytes: usize) {
    let appends = (1..=events).map(|number| {
        let event = NewEvent { payload: format!("\"{}\"", "x".repeat(bytes)), ..counted(1) };
        Append { events: vec![event], ..append(number.into(), number.into(), 0) }
    });
    for appended in at_once(store, appends.collect()).await {
        appended.unwrap();
    }
}

/// Statements, or files, that are open to scan this log.
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

/// Waits until no more are open than so many.
async fn all_end(db: &TestDb, but: i64) {
    eventually(LIMIT, async || match open_scans(db).await {
        open if open <= but => Ok(()),
        open => Err((but, open)),
    })
    .await;
}

on_each_engine! {
    /// What waits between reader and folder is bounded in bytes too, and nothing is lost where a chunk
    /// ends for it.
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

    /// A dropped scan doesn't wait for ever with a connection or an open file.
    async fn a_dropped_scan_ends(db: &TestDb) {
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
            assert!(open > before, "they are in progress: {before}, {open}");
            drop(scans);
            // SQLite keeps a closed file for the next connection, as long as another one has it open.
            if db.folder().is_none() {
                all_end(db, before).await;
            }
        }
        store.close().await;
        drop(store);
        all_end(db, 0).await;
    }
}
