//! The findings of a check in a log that was tampered with, and none in a sound log.

use crate::support::{NUMBERS, append, counted, named, open, raw};
use gdmarket_store::{
    Append, Check, Checkpoints, Finding, KnownSubscriptions, Parked, ParkedKeys, ReceiptKind,
    Store, on_db, on_tx,
};
use gdmarket_testkit::{Engine, TestDb, on_each_engine};
use std::collections::BTreeSet;
use std::time::Duration;

const KNOWN: KnownSubscriptions<'_> = KnownSubscriptions {
    acting: &["acting"],
    is_derived: |subscription| subscription.starts_with("view"),
};

async fn filled(db: &TestDb) -> Store {
    let store = open(db).await;
    for number in 1..=3 {
        let first = store.numbers().allocate("number").await.unwrap();
        let mut first = append(u128::try_from(number).unwrap(), first, 0);
        first.events.push(counted(2));
        store.appender().append(first).await.unwrap();
    }
    let kind = ReceiptKind::Refused("no".to_owned());
    let refused = Append { events: vec![], kind, ..append(5, 1, 2) };
    store.appender().append(refused).await.unwrap();
    let checkpoints = Checkpoints::new(store.views().clone());
    for subscription in ["acting", "view_a"] {
        checkpoints.claim(subscription, store.identity(), 1, 6).await.unwrap();
    }
    store
}

/// The findings of all checks.
async fn findings(store: &Store) -> Vec<Finding> {
    let mut check = Check::begin(store).await.unwrap();
    let mut all = check.sequences().await.unwrap();
    all.extend(check.positions().await.unwrap());
    all.extend(check.receipts().await.unwrap());
    all.extend(check.numbers(&[NUMBERS]).await.unwrap());
    all.extend(check.checkpoints(KNOWN).await.unwrap());
    all.extend(check.parked(KNOWN).await.unwrap());
    all.extend(check.deadlines(KNOWN).await.unwrap());
    all
}

async fn tamper(db: &TestDb, sql: &str) {
    on_db!(write & raw(db).await, pool => sqlx::query(sql).execute(pool).await.map(drop)).unwrap();
}

/// An event that no command wrote.
async fn insert(db: &TestDb, stream: &str, sequence: i64, position: i64) {
    let by_hand = match db.engine() {
        Engine::Postgres => "OVERRIDING SYSTEM VALUE",
        Engine::Sqlite => "",
    };
    let (kind, id) = stream.split_once('/').unwrap();
    let sql = format!(
        "INSERT INTO events (position, aggregate_type, aggregate_id, sequence, event_type, \
         event_version, payload, metadata, recorded_at) {by_hand} \
         VALUES ({position}, '{kind}', '{id}', {sequence}, 'Counted', '1', '{{}}', '{{}}', 1)"
    );
    tamper(db, &sql).await;
}

async fn draw_positions_after(db: &TestDb, position: i64) {
    let sql = match db.engine() {
        Engine::Postgres => {
            format!("SELECT setval(pg_get_serial_sequence('events', 'position'), {position})")
        }
        Engine::Sqlite => {
            format!("UPDATE sqlite_sequence SET seq = {position} WHERE name = 'events'")
        }
    };
    tamper(db, &sql).await;
}

/// Removes the unique keys of the tables.
async fn forget_keys(db: &TestDb) {
    let statements = match db.engine() {
        Engine::Postgres => [
            "ALTER TABLE events DROP CONSTRAINT events_pkey",
            "ALTER TABLE events DROP CONSTRAINT events_position_key",
        ]
        .as_slice(),
        Engine::Sqlite => &[
            "CREATE TABLE other AS SELECT * FROM events",
            "DROP TABLE events",
            "ALTER TABLE other RENAME TO events",
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('events', 6)",
        ],
    };
    for sql in statements {
        tamper(db, sql).await;
    }
}

async fn tamper_views(store: &Store, sql: &str) {
    let mut tx = store.views().begin().await.unwrap();
    on_tx!(&mut tx, connection => sqlx::query(sql).execute(connection).await.map(drop)).unwrap();
    tx.commit().await.unwrap();
}

on_each_engine! {
    async fn sound_log_has_no_findings(db: &TestDb) {
        let store = filled(db).await;
        assert_eq!(findings(&store).await, []);
        store.close().await;
    }

    async fn number_that_an_event_names_is_in_use(db: &TestDb) {
        let store = filled(db).await;
        let behind = async || {
            let mut check = Check::begin(&store).await.unwrap();
            check.numbers(&[NUMBERS]).await.unwrap()
        };
        tamper(db, &named(1, "3")).await;
        assert_eq!(behind().await, [], "the number was allocated");
        tamper(db, &named(2, "4")).await;
        let detail = "the next number of number is 4, but there is a PaymentRequested with paymentNo 4";
        assert_eq!(behind().await, [Finding::fault("number-behind", detail.to_owned())]);
        store.close().await;
    }

    async fn compatibility_check_counts_every_kind_and_samples_each(db: &TestDb) {
        let store = filled(db).await;
        let mut other = append(7, 9, 0);
        other.events[0].event_version = "2".to_owned();
        store.appender().append(other).await.unwrap();
        let mut check = Check::begin(&store).await.unwrap();
        let kinds = check.event_kinds().await.unwrap();
        let counts: Vec<_> =
            kinds.iter().map(|kind| (kind.event_version.as_str(), kind.count)).collect();
        assert_eq!(counts, [("1", 6), ("2", 1)]);
        let samples = check.samples(&kinds[0]).await.unwrap();
        let positions: Vec<_> = samples.iter().map(|s| s.position).collect();
        assert_eq!((positions[0], *positions.iter().max().unwrap()), (1, 6), "{positions:?}");
        assert_eq!(check.samples(&kinds[1]).await.unwrap().len(), 1);
        let stream = &samples[0].stream;
        assert_eq!(check.stream(stream, 0).await.unwrap().len(), 2);
        assert_eq!(check.stream(stream, 2).await.unwrap(), []);
        drop(check);
        store.close().await;
    }

    async fn every_tampering_is_found(db: &TestDb) {
        let store = filled(db).await;
        let mut expected_codes = BTreeSet::new();
        let mut expect = async |step: &str, codes: &[&'static str]| {
            expected_codes.extend(codes);
            let found: BTreeSet<_> = findings(&store).await.iter().map(|f| f.code).collect();
            assert_eq!(found, expected_codes, "{step}");
        };
        tamper(db, "DELETE FROM events WHERE aggregate_id = '2' AND sequence = 1").await;
        expect("a gap", &["sequence-gap", "receipt-double"]).await;
        tamper(db, "DELETE FROM events WHERE aggregate_id = '1' AND sequence = 2").await;
        expect("a stream without its last event", &["receipt-without-events"]).await;
        insert(db, "counter/8", 1, 1001).await;
        insert(db, "counter/8", 2, 1000).await;
        draw_positions_after(db, 2).await;
        let codes = ["position-order", "position-next", "event-without-receipt", "number-behind"];
        expect("a stream with decreasing positions", &codes).await;
        tamper_views(&store, "UPDATE checkpoints SET position = 2000 WHERE subscription = 'acting'").await;
        expect("a checkpoint past the end", &["checkpoint-past-head"]).await;
        tamper_views(&store, "UPDATE checkpoints SET log_epoch = 0 WHERE subscription = 'view_a'").await;
        expect("a checkpoint of another epoch", &["checkpoint-other-epoch"]).await;
        let park = Parked {
            key: "a".to_owned(), state: Parked::PARKED.to_owned(), reason: "why".to_owned(),
            since_position: 1, since_time: 1, attempts: 1,
        };
        let mut tx = store.views().begin().await.unwrap();
        ParkedKeys::park(&mut tx, "acting", &park, Duration::ZERO).await.unwrap();
        ParkedKeys::queue(&mut tx, "acting", "b", 1).await.unwrap();
        tx.commit().await.unwrap();
        expect("a queue without a parked key", &["parked", "parked-key", "queue-without-parked"]).await;
        tamper_views(&store, "UPDATE parked SET since_position = 500").await;
        expect("a key parked at a missing event", &["queue-without-event"]).await;
        tamper_views(&store, "UPDATE checkpoints SET subscription = 'gone', source = 'x' WHERE subscription = 'acting'").await;
        expected_codes.remove("checkpoint-past-head");
        tamper_views(&store, "UPDATE parked SET subscription = 'gone'").await;
        tamper_views(&store, "INSERT INTO deadlines VALUES ('gone', 'a', 1, '{}')").await;
        expected_codes.extend(["checkpoint-unknown", "checkpoint-other-log", "parked-unknown", "deadline-unknown"]);
        let all = findings(&store).await;
        assert_eq!(all.iter().map(|f| f.code).collect::<BTreeSet<_>>(), expected_codes);
        let warnings = all.iter().filter(|finding| !finding.is_fault).map(|f| f.code);
        let expected = [
            "checkpoint-other-log", "checkpoint-unknown", "deadline-unknown", "event-without-receipt",
            "parked", "parked-key", "parked-unknown",
        ];
        assert_eq!(warnings.collect::<BTreeSet<_>>(), BTreeSet::from(expected));
        store.close().await;
    }

    async fn violations_of_missing_unique_keys_are_found(db: &TestDb) {
        let store = filled(db).await;
        forget_keys(db).await;
        assert_eq!(findings(&store).await, []);
        draw_positions_after(db, 1000).await;
        let mut expected_codes = BTreeSet::from(["event-without-receipt"]);
        for (codes, stream, sequence, position) in [
            (["sequence-double"].as_slice(), "counter/3", 2, 999),
            (&["position-range", "position-order"], "other/1", 1, -1),
            (&["position-double"], "other/2", 1, 1),
        ] {
            insert(db, stream, sequence, position).await;
            expected_codes.extend(codes);
            let found: BTreeSet<_> = findings(&store).await.iter().map(|f| f.code).collect();
            assert_eq!(found, expected_codes, "{stream}");
        }
        store.close().await;
    }

    async fn row_that_is_not_an_event_is_described(db: &TestDb) {
        let store = filled(db).await;
        tamper(db, "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, \
            event_version, payload, metadata) VALUES ('counter', 'x', 1, 'Odd', '1', '{}', '{}')").await;
        let mut check = Check::begin(&store).await.unwrap();
        let kinds = check.event_kinds().await.unwrap();
        let samples = check.samples(&kinds[1]).await.unwrap();
        assert!(samples[0].key().starts_with("counter/x@"), "{samples:?}");
        assert!(samples[0].damage_reason().is_some(), "{samples:?}");
        assert_eq!(check.numbers(&[NUMBERS]).await.unwrap(), []);
        drop(check);
        store.close().await;
    }
}
