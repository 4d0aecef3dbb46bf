//! Stock `postgres-es` reads GDmarket's log, and its appends are in order.

use crate::order::reader;
use crate::support::*;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{AggregateContext, EventStore};
use gdmarket_store::{AppendError, Store};
use gdmarket_testkit::TestDb;
use postgres_es::PostgresEventRepository;
use sqlx::{Executor, PgPool};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const WRITERS: i64 = 4;
const ROUNDS: i64 = 40;
const EVENTS: i64 = 3;

#[test]
fn stock_program_reads_the_streams_and_its_appends_are_ordered() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let store = open(&db).await;
        let mut three = append(1, 1, 0);
        three.events = vec![counted(1), counted(2), counted(3)];
        store.appender().append(three).await.unwrap();

        let pool = PgPool::connect(db.url()).await.unwrap();
        let repository = PostgresEventRepository::new(pool.clone());
        let stock = PersistedEventStore::<_, Counter>::new_event_store(repository);
        let mut context = stock.load_aggregate("1").await.unwrap();
        assert_eq!(context.aggregate().total, 6);
        let metadata = HashMap::from([("by".to_owned(), "stock".to_owned())]);
        let events = vec![CounterEvent::Counted { by: 10 }, CounterEvent::Counted { by: 20 }];
        stock.commit(events, context, metadata).await.unwrap();

        let log = whole_log(&store).await;
        assert_eq!(log.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert!(log.is_sorted_by_key(|event| event.position));
        assert!(log.is_sorted_by_key(|event| event.recorded_at));
        let loaded = store.aggregates::<Counter>().lock(1).await.unwrap();
        assert_eq!((loaded.version(), loaded.state().total), (5, 36));
        drop(loaded);
        let stale = store.appender().append(append(2, 1, 3)).await;
        assert_eq!(stale, Err(AppendError::Conflict));
        store.appender().append(append(2, 1, 5)).await.unwrap();
        pool.close().await;
        store.close().await;
    });
}

/// One stock program, which loads and commits some events in each round.
async fn stock_writer(url: String, number: i64) -> i64 {
    let pool = PgPool::connect(&url).await.unwrap();
    let repository = PostgresEventRepository::new(pool.clone());
    let stock = PersistedEventStore::<_, Counter>::new_event_store(repository);
    for round in 0..ROUNDS {
        let mut context = stock.load_aggregate(&number.to_string()).await.unwrap();
        assert_eq!(context.aggregate().total, round * EVENTS);
        let events = (0..EVENTS).map(|_| CounterEvent::Counted { by: 1 }).collect();
        stock.commit(events, context, HashMap::new()).await.unwrap();
    }
    pool.close().await;
    ROUNDS * EVENTS
}

/// One writer of GDmarket.
async fn own_writer(store: Store, number: i64) -> i64 {
    for expected in 0..ROUNDS {
        let command = u128::try_from(number * ROUNDS + expected).unwrap();
        store.appender().append(append(command, number, expected)).await.unwrap();
    }
    ROUNDS
}

/// Runs stock writers and GDmarket's, each with its own streams, while readers follow the log; returns the log's
/// positions and those that each reader saw.
async fn with_stock_programs(db: &TestDb, store: &Store) -> (Vec<i64>, Vec<Vec<i64>>) {
    let done = Arc::new(AtomicBool::new(false));
    let readers = [false, true].map(|tail| reader(store.clone(), Arc::clone(&done), tail));
    let readers = spawn_each(readers);
    let stock = spawn_each((1..=WRITERS).map(|number| stock_writer(db.url().to_owned(), number)));
    let own = (1..=WRITERS).map(|number| own_writer(store.clone(), 100 + number));
    let own: i64 = all(spawn_each(own)).await.into_iter().sum();
    let stock: i64 = all(stock).await.into_iter().sum();
    done.store(true, Ordering::SeqCst);
    let seen = all(readers).await;
    let log = whole_log(store).await;
    assert_eq!(log.len(), usize::try_from(own + stock).unwrap());
    (positions(&log), seen)
}

#[test]
fn concurrent_stock_programs_hide_no_event_from_readers() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let store = open(&db).await;
        let (log, seen) = with_stock_programs(&db, &store).await;
        for seen in seen {
            assert_eq!(seen, log);
        }
        store.close().await;
    });
}

/// Control: without the trigger a stock program commits a position that a reader has passed already.
#[test]
fn readers_skip_events_of_stock_programs_without_the_trigger() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let store = open(&db).await;
        let pool = PgPool::connect(db.url()).await.unwrap();
        pool.execute("DROP TRIGGER events_take_turns ON events").await.unwrap();
        let (log, seen) = with_stock_programs(&db, &store).await;
        let skipped: usize = seen.iter().map(|seen| log.len() - seen.len()).sum();
        assert!(skipped > 0, "the control must skip");
        pool.close().await;
        store.close().await;
    });
}
