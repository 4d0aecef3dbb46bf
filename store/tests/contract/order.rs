//! The order of positions is the order of commits: readers that follow the log skip no event, whatever foreign writers
//! do meanwhile.

use crate::support::*;
use gdmarket_store::{AppendError, Db, Store};
use gdmarket_testkit::{Engine, TestDb};
use rand::RngExt;
use rand::seq::IndexedRandom;
use sqlx::{Connection, Executor, PgConnection};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const WRITERS: i64 = 8;
const ROUNDS: i64 = 40;
const LEVELS: [&str; 3] = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];
/// The only isolation level of SQLite.
const ONLY_LEVEL: &str = "SERIALIZABLE";
/// The minimum of events that the foreign writers commit, evenly on all levels; about 570 are expected.
const MIN_FOREIGN_EVENTS: usize = 150;

/// A writer of another program on PostgreSQL: transactions of several statements on any isolation
/// level, held open for a while, some rolled back. Returns the level of each event it committed.
async fn foreign_postgres(url: String, writer: i64) -> Vec<&'static str> {
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut committed = vec![];
    for round in 1..=ROUNDS {
        let (level, hold, rolls_back) = {
            let mut random = rand::rng();
            (
                *LEVELS.choose(&mut random).unwrap(),
                random.random_range(0..5),
                random.random_bool(0.1),
            )
        };
        connection.execute(format!("BEGIN ISOLATION LEVEL {level}").as_str()).await.unwrap();
        let mut fine = true;
        for sequence in [2 * round - 1, 2 * round] {
            let insert = sqlx::query(
                "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, \
                 event_version, payload, metadata) VALUES ('foreign', $1, $2, 'Written', '1', '{}', '{}')",
            );
            let insert = insert.bind(format!("{writer}")).bind(sequence);
            fine = fine && insert.execute(&mut connection).await.is_ok();
            // The transaction is held open on purpose; this waits for no condition.
            sleep(Duration::from_millis(hold)).await;
        }
        let end = if fine && !rolls_back { "COMMIT" } else { "ROLLBACK" };
        if connection.execute(end).await.is_ok() && end == "COMMIT" {
            committed.extend([level; 2]);
        }
    }
    committed
}

/// Like [`foreign_postgres`] on SQLite, which has one isolation level.
async fn foreign_sqlite(db: Db, writer: i64) -> Vec<&'static str> {
    let mut committed = vec![];
    for round in 1..=ROUNDS {
        let (hold, rolls_back) = {
            let mut random = rand::rng();
            (random.random_range(0..5), random.random_bool(0.1))
        };
        let Ok(mut tx) = db.begin().await else { continue };
        for sequence in [2 * round - 1, 2 * round] {
            gdmarket_store::on_tx!(&mut tx, connection => {
                let insert = sqlx::query(
                    "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, \
                     event_version, payload, metadata) \
                     VALUES ('foreign', $1, $2, 'Written', '1', '{}', '{}')",
                );
                let insert = insert.bind(format!("{writer}")).bind(sequence);
                insert.execute(connection).await.unwrap();
            });
            sleep(Duration::from_millis(hold)).await;
        }
        if rolls_back {
            tx.rollback().await.unwrap();
        } else {
            tx.commit().await.unwrap();
            committed.extend([ONLY_LEVEL; 2]);
        }
    }
    committed
}

/// Follows the log until `done` is set and it has seen the head.
pub(crate) async fn reader(
    store: Store,
    done: Arc<AtomicBool>,
    through_the_tail: bool,
) -> Vec<i64> {
    let mut seen: Vec<i64> = Vec::new();
    loop {
        let was_done = done.load(Ordering::SeqCst);
        let after = seen.last().copied().unwrap_or(0);
        let before = seen.len();
        if through_the_tail {
            let events = store.tail().read_after(after, 100).await.unwrap();
            seen.extend(events.iter().map(|event| event.position));
        } else {
            let events = store.log().read_after(after, 100).await.unwrap();
            seen.extend(events.iter().map(|event| event.position));
        }
        if seen.len() == before {
            if was_done && store.log().head().await.unwrap() <= after {
                return seen;
            }
            // Polling without a pause would leave the writers no processor time.
            store.tail().wait_past(after, Instant::now() + Duration::from_millis(1)).await;
        }
    }
}

/// Runs all writers and readers at once; returns the committed positions and those that each reader saw.
async fn run_all(db: &TestDb, stores: &[Store; 2]) -> (Vec<i64>, Vec<Vec<i64>>) {
    let done = Arc::new(AtomicBool::new(false));
    let readers = stores.iter().flat_map(|store| [(store, false), (store, true)]);
    let readers = readers.map(|(store, tail)| reader(store.clone(), Arc::clone(&done), tail));
    let readers = spawn_each(readers);
    let raw = raw(db).await;
    let foreign = (1..=WRITERS).map(|writer| {
        let (raw, url) = (raw.clone(), db.url().to_owned());
        async move {
            match raw {
                Db::Postgres(_) => foreign_postgres(url, writer).await,
                Db::Sqlite { .. } => foreign_sqlite(raw, writer).await,
            }
        }
    });
    let foreign = spawn_each(foreign);
    let own = (0..200).zip(stores.iter().cycle()).map(|(n, store)| {
        let store = store.clone();
        async move {
            let command = u128::try_from(n).unwrap();
            let mut written = 0;
            for expected in 0..3 {
                let sent = append(command * 3 + u128::try_from(expected).unwrap(), n + 1, expected);
                loop {
                    match store.appender().append(sent.clone()).await {
                        Ok(_) => break,
                        // Foreign writers held SQLite's write lock for too long; the append wasn't done.
                        Err(AppendError::Unavailable(_)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
                written += 1;
            }
            written
        }
    });
    let own: usize = all(spawn_each(own)).await.into_iter().sum();
    let foreign: Vec<&str> = all(foreign).await.into_iter().flatten().collect();
    done.store(true, Ordering::SeqCst);
    let seen = all(readers).await;
    let log = positions(&whole_log(&stores[0]).await);
    assert_eq!(own, 600);
    assert_eq!(log.len(), own + foreign.len());
    let levels = if db.engine() == Engine::Postgres { &LEVELS[..] } else { &[ONLY_LEVEL] };
    for level in levels {
        let on_it = foreign.iter().filter(|of| *of == level).count();
        assert!(
            on_it > MIN_FOREIGN_EVENTS / levels.len(),
            "the foreign writers committed too little on {level}: {on_it}"
        );
    }
    (log, seen)
}

gdmarket_testkit::on_each_engine! {
    async fn readers_skip_no_event_whatever_foreign_writers_do(db: &TestDb) {
        let stores = [open(db).await, open(db).await];
        let (log, seen) = run_all(db, &stores).await;
        for seen in seen {
            assert_eq!(seen, log);
        }
        for store in stores {
            store.close().await;
        }
    }
}

/// Control: without the trigger a writer commits a position that a reader has passed already.
#[test]
fn readers_skip_events_without_the_trigger() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let stores = [open(&db).await, open(&db).await];
        let Db::Postgres(pool) = raw(&db).await else { panic!("PostgreSQL") };
        pool.execute("DROP TRIGGER events_take_turns ON events").await.unwrap();
        let (log, seen) = run_all(&db, &stores).await;
        let skipped: usize = seen.iter().map(|seen| log.len() - seen.len()).sum();
        assert!(skipped > 0, "the control must skip");
        for store in stores {
            store.close().await;
        }
    });
}
