//! Queries of the log find exactly the events that their filter matches, page by page, from either end; statistics count
//! the whole log.

use crate::support::*;
use gdmarket_store::{Db, EventFilter, RecordedEvent, Store};
use gdmarket_testkit::{TestDb, on_each_engine};
use sqlx::Executor;

/// Three streams of ten events, by two actors, in commands of one and two events.
async fn filled(db: &TestDb) -> Store {
    let store = open(db).await;
    let mut command = 0;
    for round in 0..5 {
        for number in [1, 2, 30] {
            command += 1;
            let mut one = append(command, number, round * 2);
            let actor = if number == 2 { "process:counting" } else { "owner:7" };
            let correlation = id(u128::try_from(round).unwrap());
            one.metadata = format!("{{\"actor\":\"{actor}\",\"correlationId\":\"{correlation}\"}}");
            let mut second = counted(2);
            if round == 3 {
                "Counted' OR 1=1".clone_into(&mut second.event_type);
            }
            one.events = vec![counted(1), second];
            store.appender().append(one).await.unwrap();
        }
    }
    store
}

fn filters() -> Vec<EventFilter> {
    let all = EventFilter::default;
    let actor = |actor: &str| Some(actor.to_owned());
    vec![
        all(),
        EventFilter { after: 3, until: Some(9), ..all() },
        EventFilter { stream: Some(stream(2)), ..all() },
        EventFilter { stream: Some(stream(2)), after: 5, until: Some(20), ..all() },
        EventFilter { stream: Some(stream(3)), ..all() },
        EventFilter { event_type: Some("Counted' OR 1=1".to_owned()), ..all() },
        EventFilter { actor: actor("owner:7"), ..all() },
        EventFilter { actor: actor("owner:7"), stream: Some(stream(30)), after: 4, ..all() },
        EventFilter { correlation_id: Some(id(2).to_string()), ..all() },
        EventFilter { correlation_id: Some(id(99).to_string()), ..all() },
        // Part of an id, or text with a meaning in SQL, matches no id.
        EventFilter { correlation_id: Some("00000000".to_owned()), ..all() },
        EventFilter { correlation_id: Some("%_\\\"'".to_owned()), ..all() },
        EventFilter {
            actor: actor("process:counting"),
            event_type: Some("Counted".to_owned()),
            correlation_id: Some(id(3).to_string()),
            ..all()
        },
    ]
}

async fn found(store: &Store, filter: &EventFilter, limit: u32) -> Vec<RecordedEvent> {
    let mut query = store.log().query(filter.clone()).await.unwrap();
    let mut found = vec![];
    while let Some(events) = query.next(limit).await.unwrap() {
        assert!(events.len() <= usize::try_from(limit).unwrap());
        assert!(events.last().is_none_or(|last| last.position <= query.reached()));
        found.extend(events);
    }
    found
}

/// Inserts an event far beyond the others, as in a log that was moved from another database.
async fn insert_at(db: &TestDb, position: i64, sequence: i64) {
    let (columns, values) = (
        "position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata",
        format!(
            "{position}, 'counter', '1', {sequence}, 'Counted', '1', '{{}}', '{{\"actor\":\"late\"}}'"
        ),
    );
    match raw(db).await {
        Db::Postgres(pool) => {
            let sql =
                format!("INSERT INTO events ({columns}) OVERRIDING SYSTEM VALUE VALUES ({values})");
            pool.execute(sql.as_str()).await.unwrap();
        }
        Db::Sqlite { write, .. } => {
            let sql = format!("INSERT INTO events ({columns}) VALUES ({values})");
            write.execute(sql.as_str()).await.unwrap();
        }
    }
}

on_each_engine! {
    async fn query_finds_the_events_that_its_filter_matches(db: &TestDb) {
        let store = filled(db).await;
        let log = whole_log(&store).await;
        assert_eq!(log.len(), 30);
        let mut sizes = vec![];
        for filter in filters() {
            let expected: Vec<_> = log.iter().filter(|e| filter.matches(e)).cloned().collect();
            sizes.push(expected.len());
            for limit in [1, 2, 7, 100] {
                assert_eq!(found(&store, &filter, limit).await, expected, "{filter:?} by {limit}");
            }
            let query = store.log().query(filter.clone()).await.unwrap();
            assert_eq!(query.newest(100).await.unwrap(), expected, "{filter:?}");
            let from = expected.len().saturating_sub(3);
            assert_eq!(query.newest(3).await.unwrap(), expected[from..], "{filter:?}");
            assert_eq!(query.newest(0).await.unwrap(), []);
        }
        assert_eq!(sizes[..9], [30, 6, 10, 4, 0, 3, 20, 10, 6]);
        store.close().await;
    }

    async fn query_crosses_wide_gaps_from_both_ends(db: &TestDb) {
        let store = filled(db).await;
        for (position, sequence) in [(200_000, 11), (40_000_000, 12), (40_000_001, 13)] {
            insert_at(db, position, sequence).await;
        }
        let expected = EventFilter { actor: Some("late".to_owned()), ..EventFilter::default() };
        let both = positions(&found(&store, &expected, 10).await);
        assert_eq!(both, [200_000, 40_000_000, 40_000_001]);
        let until = EventFilter { until: Some(40_000_000), ..expected.clone() };
        assert_eq!(positions(&found(&store, &until, 10).await), both[..2]);
        let query = store.log().query(until).await.unwrap();
        assert_eq!(positions(&query.newest(2).await.unwrap()), both[..2]);
        let early = EventFilter { actor: Some("owner:7".to_owned()), ..expected };
        assert_eq!(found(&store, &early, 7).await.len(), 20);
        let query = store.log().query(early).await.unwrap();
        assert_eq!(query.newest(3).await.unwrap().len(), 3);
        let stats = store.log().stats(&mut |_| ()).await.unwrap();
        assert_eq!((stats.events, stats.holes()), (33, 40_000_001 - 33));
        store.close().await;
    }

    async fn query_ignores_events_after_its_start(db: &TestDb) {
        let store = filled(db).await;
        let mut query = store.log().query(EventFilter::default()).await.unwrap();
        let one = query.next(29).await.unwrap().unwrap();
        store.appender().append(append(100, 1, 10)).await.unwrap();
        assert_eq!(one.len(), 29);
        assert_eq!(query.next(29).await.unwrap().unwrap().len(), 1);
        assert_eq!(query.next(29).await.unwrap(), None);
        store.close().await;
    }

    async fn statistics_match_the_log(db: &TestDb) {
        let store = open(db).await;
        let nothing = store.log().stats(&mut |_| ()).await.unwrap();
        assert_eq!((nothing.events, nothing.holes(), nothing.first), (0, 0, None));
        store.close().await;
        let store = filled(db).await;
        let log = whole_log(&store).await;
        let mut reached = 0;
        let stats = store.log().stats(&mut |position| reached = position).await.unwrap();
        let mark = |event: &RecordedEvent| Some((event.position, event.recorded_at));
        assert_eq!(stats.first, log.first().and_then(mark));
        assert_eq!(stats.last, log.last().and_then(mark));
        assert_eq!(stats.last.map(|(position, _)| position), Some(reached));
        assert_eq!(stats.events, 30);
        assert_eq!(stats.holes(), u64::try_from(reached).unwrap() - 30);
        let of = stats.aggregates["counter"];
        assert_eq!((of.streams, of.events, of.longest), (3, 30, 10));
        let counts: Vec<_> = stats.types.iter().map(|((_, name, _), n)| (name.as_str(), *n)).collect();
        assert_eq!(counts, [("Counted", 27), ("Counted' OR 1=1", 3)]);
        store.close().await;
    }
}
