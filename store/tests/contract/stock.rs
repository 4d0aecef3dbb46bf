//! Stock `postgres-es` reads our log, and what it appends is in order.

use crate::support::*;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{AggregateContext, EventStore};
use gdmarket_store::AppendError;
use gdmarket_testkit::TestDb;
use postgres_es::PostgresEventRepository;
use sqlx::PgPool;
use std::collections::HashMap;

#[test]
fn a_stock_program_reads_our_streams_and_its_appends_are_ordered() {
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
