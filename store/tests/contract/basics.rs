//! Events, receipts, names, numbers and states are read as they were written, from the log and from the tail.

use crate::support::*;
use gdmarket_store::{Append, AppendError, Appended, PersonalData, ReceiptKind, StoreError};
use gdmarket_testkit::on_each_engine;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

on_each_engine! {
    async fn event_is_read_as_it_was_written(db: &TestDb) {
        let store = open(db).await;
        let mut sent = append(1, 5, 0);
        sent.events = vec![counted(1), counted(2)];
        sent.events[1].payload = "{\"Counted\": {\"by\":2, \"note\":\"\\\\u0000 ü \\\"'$1\"}}".to_owned();
        let appended = store.appender().append(sent.clone()).await.unwrap();
        let log = whole_log(&store).await;
        assert_eq!(appended.first_sequence, 1);
        assert_eq!(appended.count, 2);
        assert_eq!(Some(appended.position), log.last().map(|event| event.position));
        for (event, (sequence, new)) in log.iter().zip((1..).zip(&sent.events)) {
            assert_eq!(event.stream, sent.stream);
            assert_eq!(event.sequence, sequence);
            assert_eq!((&event.event_type, &event.event_version), (&new.event_type, &new.event_version));
            assert_eq!((&event.payload, &event.metadata), (&new.payload, &sent.metadata));
            assert!(event.recorded_at > 1_700_000_000_000_000, "{}", event.recorded_at);
        }
        assert_eq!(log.len(), 2);
        assert_eq!(store.log().stream(&stream(5), 1).await.unwrap(), log[1..]);
        assert_eq!(store.log().head().await.unwrap(), log[1].position);
        let receipt = store.receipts().find(id(1)).await.unwrap().unwrap();
        assert_eq!((receipt.first_sequence, receipt.count), (1, 2));
        assert_eq!((receipt.fingerprint, receipt.kind), (sent.fingerprint, ReceiptKind::Done));
        assert_eq!(store.receipts().find(id(2)).await.unwrap(), None);
        store.close().await;
    }

    async fn positions_increase_and_are_returned_to_their_commands(db: &TestDb) {
        let store = open(db).await;
        let mut appends = Vec::new();
        for number in 1..=100 {
            let mut one = append(number, i64::try_from(number).unwrap(), 0);
            one.events = vec![counted(1); usize::try_from(number % 4).unwrap()];
            appends.push(one);
        }
        let answers = at_once(&store, appends).await;
        let log = whole_log(&store).await;
        assert_eq!(log.len(), 150);
        for (number, answer) in (1_i64..).zip(answers) {
            let of_stream = log.iter().filter(|event| event.stream == stream(number));
            let last = of_stream.clone().next_back().map_or(0, |event| event.position);
            assert_eq!(answer.unwrap().position, last);
            assert!(of_stream.zip(1..).all(|(event, sequence)| event.sequence == sequence));
        }
        store.close().await;
    }

    async fn receipt_without_events_is_stored_and_found_by_a_repeat(db: &TestDb) {
        let store = open(db).await;
        let mut refused = append(1, 5, 0);
        refused.events.clear();
        refused.kind = ReceiptKind::Refused("item-taken".to_owned());
        let answer = store.appender().append(refused.clone()).await.unwrap();
        assert_eq!(answer, Appended { first_sequence: 0, count: 0, position: 0 });
        match store.appender().append(refused).await {
            Err(AppendError::Duplicate(receipt)) => {
                assert_eq!(receipt.kind, ReceiptKind::Refused("item-taken".to_owned()));
            }
            other => panic!("{other:?}"),
        }
        assert!(whole_log(&store).await.is_empty());
        store.close().await;
    }

    /// Each stream of a person keeps the name that was written with it, until the person is erased.
    async fn name_belongs_to_the_stream_that_it_was_written_with(db: &TestDb) {
        let store = open(db).await;
        let named_append = |command: u128, number, person_id, name: Option<&str>| {
            let personal = PersonalData::Of { person_id, name: name.map(str::to_owned) };
            Append { personal: Some(personal), ..append(command, number, 0) }
        };
        let conflicting = Append { expected: 3, ..named_append(6, 6, 7, Some("nobody")) };
        let all = vec![
            named_append(1, 1, 7, Some("Kim")),
            named_append(2, 2, 7, Some("Kim Minsu")),
            named_append(3, 3, 7, None),
            named_append(4, 4, 8, Some("Lee")),
            named_append(5, 5, 7, Some("refused")),
            conflicting,
        ];
        let answers = at_once(&store, all).await;
        assert_eq!(answers[5], Err(AppendError::Gap));
        // A repeat of the same command changes nothing.
        let again = store.appender().append(named_append(2, 2, 7, Some("Park"))).await;
        assert!(matches!(again, Err(AppendError::Duplicate(_))), "{again:?}");
        let forgets = Append { personal: Some(PersonalData::Forgotten), ..append(7, 5, 1) };
        store.appender().append(forgets).await.unwrap();
        store.appender().append(append(8, 1, 1)).await.unwrap();
        let names = async || {
            let streams = [(1, 7), (2, 7), (3, 7), (4, 8), (5, 7), (6, 7), (9, 7), (10, 8)];
            let names = store.personal_data().of_streams("counter", &streams).await.unwrap();
            names.into_iter().collect::<BTreeMap<_, _>>()
        };
        let named = |names: &[(i64, &str)]| -> BTreeMap<i64, String> {
            names.iter().map(|(number, name)| (*number, (*name).to_owned())).collect()
        };
        assert_eq!(names().await, named(&[(1, "Kim"), (2, "Kim Minsu"), (4, "Lee")]));
        let other = store.personal_data().of_streams("other", &[(1, 7)]).await.unwrap();
        assert!(other.is_empty(), "{other:?}");
        // Earlier versions stored names by person; streams without a name of their own show these.
        db.log_sql("INSERT INTO personal_data (person_id, name) VALUES (7, 'Old')").await;
        let older = [(1, "Kim"), (2, "Kim Minsu"), (4, "Lee"), (6, "Old"), (9, "Old")];
        assert_eq!(names().await, named(&older));
        assert_eq!(store.personal_data().erase(7).await.unwrap().names, 3);
        assert_eq!(store.personal_data().erase(7).await.unwrap().names, 0);
        assert_eq!(names().await, named(&[(4, "Lee")]));
        store.appender().append(named_append(9, 9, 7, Some("Kim again"))).await.unwrap();
        assert_eq!(names().await, named(&[(4, "Lee"), (9, "Kim again")]));
        store.close().await;
    }

    async fn tail_returns_every_event_from_memory_or_from_the_log(db: &TestDb) {
        let first = open(db).await;
        first.appender().append(append(1, 1, 0)).await.unwrap();
        let mut small = options(db);
        small.tail_events = 4;
        let store = gdmarket_store::Store::open(&small).await.unwrap();
        let reader = {
            let tail = store.tail().clone();
            tokio::spawn(async move {
                let mut seen: Vec<i64> = Vec::new();
                while seen.len() < 60 {
                    let after = seen.last().copied().unwrap_or(0);
                    assert!(tail.wait_past(after, Instant::now() + LIMIT).await, "{seen:?}");
                    let events = tail.read_after(after, 7).await.unwrap();
                    seen.extend(events.iter().map(|event| event.position));
                }
                seen
            })
        };
        // This process writes half of the events, another one the other half.
        for command in 2..=60 {
            let (who, number) = if command % 2 == 0 { (&store, 2) } else { (&first, 3) };
            let appended = append(command, number, i64::try_from((command - 2) / 2).unwrap());
            who.appender().append(appended).await.unwrap();
        }
        assert_eq!(reader.await.unwrap(), positions(&whole_log(&store).await));
        for store in [first, store] {
            store.close().await;
        }
    }

    async fn event_is_found_before_the_tail_has_read_it(db: &TestDb) {
        let other = open(db).await;
        let position = other.appender().append(append(1, 1, 0)).await.unwrap().position;
        let mut blind = options(db);
        blind.poll_interval = Duration::from_hours(1);
        let store = gdmarket_store::Store::open(&blind).await.unwrap();
        let tail = store.tail();
        assert!(tail.wait_past(position - 1, Instant::now() + LIMIT).await);
        let newest = other.appender().append(append(2, 1, 1)).await.unwrap().position;
        assert!(tail.read_after(position, 1).await.unwrap().is_empty(), "the tail hasn't read the event yet");
        let found = tail.at(newest).await.unwrap().map(|event| event.position);
        assert_eq!(found, Some(newest));
        assert_eq!(tail.at(newest + 1).await.unwrap(), None);
        for store in [other, store] {
            store.close().await;
        }
    }

    async fn state_is_cached_only_after_an_append(db: &TestDb) {
        let store = open(db).await;
        let counters = store.aggregates::<Counter>();
        let loaded = counters.lock(4).await.unwrap();
        assert_eq!((loaded.version(), loaded.is_current(), loaded.state().total), (0, true, 0));
        let (appended, state) = loaded.append(append(1, 4, 0)).await.unwrap();
        assert_eq!((appended.first_sequence, state.total), (1, 1));
        let loaded = counters.lock(4).await.unwrap();
        assert_eq!((loaded.version(), loaded.is_current(), loaded.state().total), (1, false, 1));
        // A repeated command is a duplicate, after which the state in memory isn't used.
        assert!(matches!(loaded.append(append(1, 4, 1)).await, Err(AppendError::Duplicate(_))));
        let loaded = counters.lock(4).await.unwrap();
        assert_eq!((loaded.version(), loaded.is_current(), loaded.state().total), (1, true, 1));
        drop(loaded);
        store.close().await;
    }

    async fn newer_event_is_distinguished_from_a_damaged_one(db: &TestDb) {
        let store = open(db).await;
        let mut newer = append(1, 1, 0);
        newer.events[0].event_version = "2".to_owned();
        let mut broken = append(2, 2, 0);
        broken.events[0].payload = "{\"Counted\":{}}".to_owned();
        for answer in at_once(&store, vec![newer, broken]).await {
            answer.unwrap();
        }
        let counters = store.aggregates::<Counter>();
        assert!(matches!(counters.lock(1).await, Err(StoreError::Newer)));
        assert!(matches!(counters.lock(2).await, Err(StoreError::Corrupt(_))));
        store.close().await;
    }

    async fn closed_store_has_written_its_queue_and_accepts_no_more(db: &TestDb) {
        let store = open(db).await;
        let sending = (1..=200).map(|n| {
            let store = store.clone();
            async move { store.appender().append(append(n, i64::try_from(n).unwrap(), 0)).await }
        });
        let sent = spawn_each(sending);
        tokio::task::yield_now().await;
        store.close().await;
        let written = all(sent).await.into_iter().flatten().count();
        let late = store.appender().append(append(999, 999, 0)).await;
        assert!(matches!(late, Err(AppendError::Unavailable(_))), "{late:?}");
        let again = open(db).await;
        assert_eq!(whole_log(&again).await.len(), written);
        again.close().await;
    }
}
