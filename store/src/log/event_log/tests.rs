//! Scans and counts over a log that is longer than a chunk and a statement.

use super::EventLog;
use crate::db::Databases;
use crate::db::connection_guard::{AcceptAll, ConnectionGuard};
use crate::db::tasks::Tasks;
use crate::log::stream_loader::{StreamLoader, Streams};
use gdmarket_testkit::{TestDb, on_each_engine};
use std::sync::Arc;

on_each_engine! {
    /// No event may be lost or read twice at the ends of chunks and statements.
    async fn no_event_is_lost_between_chunks_and_across_gaps(db: &TestDb) {
        let (databases, tasks) = (Databases::of_test(db.url()).await, Tasks::default());
        db.log_sql(&long_log(db)).await;
        let guard: Arc<dyn ConnectionGuard> = Arc::new(AcceptAll);
        let streams = StreamLoader::start(Streams, &databases.log, &guard, &tasks);
        let log = EventLog::new(databases.log.clone(), streams, tasks.clone());
        let (after, until) = (3, 1_033_998);
        let position = |i: i64| if i < 33_001 { i } else { i + 1_000_000 };
        let expected = (1..=34_000).filter(|i| i % 5 != 0).map(|i| (position(i), i));
        let expected = expected.filter(|(position, _)| (after + 1..=until).contains(position));
        let mut seen = Vec::new();
        let mut scan = log.scan("kind", after, until);
        while let Some(chunk) = scan.next().await.unwrap() {
            for event in chunk.iter() {
                let n = event.number;
                let odd = if n % 3 == 0 {
                    "{}".to_owned()
                } else {
                    format!(r#"{{"n":{n},"t":"가격"}}"#)
                };
                assert_eq!((event.event_type, event.payload), ("T", odd.as_str()));
                seen.push((event.position, n));
            }
        }
        assert_eq!(seen, expected.collect::<Vec<_>>());
        for (after, until) in [(after, until), (3, 9)] {
            let expected = seen.iter().filter(|(position, _)| (after + 1..=until).contains(position));
            let no_pause = |_| std::future::ready(());
            let counted = log.count_of("kind", after, until, no_pause).await.unwrap();
            assert_eq!(counted, u64::try_from(expected.count()).unwrap());
        }
        tasks.end().await;
        databases.close().await;
    }
}

/// A log of 34,000 events with a hole, every fifth of another type.
fn long_log(db: &TestDb) -> String {
    let payload = r#"CASE i % 3 WHEN 0 THEN '{}' ELSE '{"n":' || i || ',"t":"가격"}' END"#;
    let (payload, empty, placed) = if db.folder().is_some() {
        (payload.to_owned(), "'{}'", "")
    } else {
        let payload = format!("CAST({payload} AS json)");
        (payload, "CAST('{}' AS json)", "OVERRIDING SYSTEM VALUE")
    };
    format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 34000) \
         INSERT INTO events (position, aggregate_type, aggregate_id, sequence, event_type, \
         event_version, payload, metadata) {placed} \
         SELECT CASE WHEN i < 33001 THEN i ELSE i + 1000000 END, \
         CASE i % 5 WHEN 0 THEN 'other' ELSE 'kind' END, CAST(i AS text), 1, 'T', '1', \
         {payload}, {empty} FROM n"
    )
}
