//! The identity guard: a process notices that its open log was restored from an older copy or replaced, and does not
//! continue.

use crate::support::*;
use gdmarket_store::{
    AppendError, Checkpoints, Claim, Db, Identity, Restored, Store, StoreError, on_db, on_tx,
};
use gdmarket_testkit::{TestDb, on_each_engine, run};

/// Appends an event to each of these streams.
async fn fill(store: &Store, streams: std::ops::RangeInclusive<i64>) {
    for number in streams {
        store.appender().append(append(u128::try_from(number).unwrap(), number, 0)).await.unwrap();
    }
}

async fn execute(db: &TestDb, sql: &str) {
    on_db!(write &raw(db).await, pool => {
        sqlx::query(sql).execute(pool).await.unwrap();
    });
}

/// Waits until the store has noticed, and asserts that it refuses to work; returns the reason.
async fn noticed(store: &Store) -> String {
    let why = tokio::time::timeout(LIMIT, store.log_replaced()).await.expect("it is noticed");
    let refused = store.appender().append(append(1_000, 1_000, 0)).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    store.tail().read_after(0, 1).await.unwrap_err();
    store.log().head().await.unwrap_err();
    if let Ok(mut assumed_new) = store.aggregates::<Counter>().lock(1_000).await {
        assumed_new.refresh().await.unwrap_err();
    }
    store.views().begin().await.expect_err("views are not written");
    why.to_string()
}

/// A store whose tail has read the log, so that it knows the last event.
async fn followed(db: &TestDb) -> Store {
    let store = open(db).await;
    fill(&store, 1..=5).await;
    let head = store.log().head().await.unwrap();
    let mut known = store.tail().head();
    known.wait_for(|known| *known == head).await.unwrap();
    store
}

/// A new connection for writing views verifies the log even before the tail reads again.
#[test]
fn new_connection_to_the_views_verifies_the_log() {
    run(async {
        let db = TestDb::postgres().await;
        let store = open(&db).await;
        let Db::Postgres(pool) = store.views() else { panic!("a pool") };
        execute(&db, "UPDATE identity SET epoch = 2").await;
        // Connections that are open already don't verify the log again.
        let mut held = vec![];
        while let Ok(connection) = pool.acquire().await {
            held.push(connection);
        }
        let most = usize::try_from(pool.max_connections()).unwrap();
        assert!(held.len() < most, "a connection to another log was accepted");
        let why = tokio::time::timeout(LIMIT, store.log_replaced()).await.expect("it is noticed");
        let why = why.to_string();
        assert!(why.contains("epoch 2"), "{why}");
        drop(held);
        store.close().await;
    });
}

on_each_engine! {
    async fn log_without_its_last_events_is_not_used_any_more(db: &TestDb) {
        let store = followed(db).await;
        execute(db, "DELETE FROM events WHERE aggregate_id IN ('4', '5')").await;
        let why = noticed(&store).await;
        assert!(why.contains("counter/5 #1"), "{why}");
        store.close().await;
        assert_eq!(whole_log(&open(db).await).await.len(), 3, "nothing was appended to it");
    }

    async fn changed_last_event_is_noticed(db: &TestDb) {
        let store = followed(db).await;
        execute(db, "UPDATE events SET metadata = '{\"command\":\"other\"}' WHERE aggregate_id = '5'")
            .await;
        let why = noticed(&store).await;
        assert!(why.contains("counter/5 #1"), "{why}");
        store.close().await;
    }

    async fn new_epoch_is_noticed(db: &TestDb) {
        let store = followed(db).await;
        execute(db, "UPDATE identity SET epoch = 2").await;
        let why = noticed(&store).await;
        assert!(why.contains("epoch 1") && why.contains("epoch 2"), "{why}");
        store.close().await;
    }

    /// Control: only the last known event is verified, so a log that lost earlier events is accepted.
    async fn log_with_the_last_known_event_is_accepted(db: &TestDb) {
        let store = followed(db).await;
        execute(db, "DELETE FROM events WHERE aggregate_id IN ('3', '4')").await;
        store.appender().append(append(6, 6, 0)).await.unwrap();
        store.tail().sure_head().await.unwrap();
        assert_eq!(whole_log(&store).await.len(), 4, "the log continues with the remaining events");
        store.close().await;
    }

    async fn log_that_ends_before_a_checkpoint_is_refused(db: &TestDb) {
        let store = followed(db).await;
        let head = store.log().head().await.unwrap();
        let checkpoints = Checkpoints::new(store.views().clone());
        checkpoints.claim("x", store.identity(), 1, head).await.unwrap();
        store.require_whole().await.unwrap();
        store.close().await;
        execute(db, "DELETE FROM events WHERE aggregate_id = '5'").await;
        let store = open(db).await;
        match store.require_whole().await {
            Err(StoreError::OtherLog(why)) => assert!(why.contains("x has read it up to"), "{why}"),
            other => panic!("{other:?}"),
        }
        store.close().await;
    }

    async fn declared_restore_starts_an_epoch_and_keeps_valid_checkpoints(db: &TestDb) {
        let store = followed(db).await;
        let before = *store.identity();
        let checkpoints = Checkpoints::new(store.views().clone());
        checkpoints.claim("x", &before, 1, 3).await.unwrap();
        store.close().await;
        let restored = Store::restored(&options(db)).await.unwrap();
        let Restored { epoch, rebuilds, head, read_to } = restored;
        assert_eq!((epoch, rebuilds, head >= 5, read_to), (2, false, true, 3));
        let store = open(db).await;
        let now = *store.identity();
        assert_eq!(now, Identity { epoch: 2, ..before });
        let checkpoints = Checkpoints::new(store.views().clone());
        assert_eq!(checkpoints.claim("x", &now, 2, 0).await.unwrap(), Claim::Position(3));
        let late = checkpoints.claim("x", &before, 3, 0).await.unwrap();
        assert_eq!(late, Claim::OtherLog(now), "who is still in the old epoch writes nothing");
        store.close().await;
    }

    async fn declared_restore_drops_what_was_derived_from_lost_events(db: &TestDb) {
        let store = followed(db).await;
        let checkpoints = Checkpoints::new(store.views().clone());
        checkpoints.claim("x", store.identity(), 1, 3).await.unwrap();
        checkpoints.claim("y", store.identity(), 1, 1_000).await.unwrap();
        let mut tx = store.views().begin().await.unwrap();
        on_tx!(&mut tx, connection => {
            sqlx::query("CREATE TABLE view_x (no bigint)").execute(connection).await.map(drop)
        })
        .unwrap();
        tx.commit().await.unwrap();
        store.close().await;
        let restored = Store::restored(&options(db)).await.unwrap();
        let Restored { epoch, rebuilds, read_to, .. } = restored;
        assert_eq!((epoch, rebuilds, read_to), (2, true, 1_000));
        let store = open(db).await;
        store.require_whole().await.unwrap();
        let checkpoints = Checkpoints::new(store.views().clone());
        for name in ["x", "y"] {
            let claimed = checkpoints.claim(name, store.identity(), 2, 0).await.unwrap();
            assert_eq!(claimed, Claim::Position(0));
        }
        on_db!(store.views(), pool => {
            sqlx::query("SELECT * FROM view_x").fetch_all(pool).await.map(drop)
        })
        .unwrap_err();
        store.close().await;
    }
}

/// The appender alone notices the older copy, by its new connection, before a tail has read it.
#[test]
fn append_to_an_older_copy_is_refused() {
    run(async {
        let db = TestDb::postgres().await;
        let store = open(&db).await;
        fill(&store, 1..=2).await;
        store.close().await;
        let older = db.copy().await;
        let store = open(&db).await;
        fill(&store, 3..=3).await;
        db.replace_by(older).await;
        let answer = store.appender().append(append(4, 4, 0)).await;
        let refused = matches!(answer, Err(AppendError::Unavailable(_) | AppendError::Unknown(_)));
        assert!(refused, "{answer:?}");
        noticed(&store).await;
        store.close().await;
        let store = open(&db).await;
        assert_eq!(whole_log(&store).await.len(), 2);
        store.close().await;
    });
}

/// Control: a copy that lacks no known event is accepted.
#[test]
fn append_to_a_complete_copy_succeeds() {
    run(async {
        let db = TestDb::postgres().await;
        let store = open(&db).await;
        fill(&store, 1..=2).await;
        store.close().await;
        let copy = db.copy().await;
        let store = open(&db).await;
        db.replace_by(copy).await;
        // This makes a new connection.
        store.appender().append(append(3, 3, 0)).await.unwrap();
        store.close().await;
        let store = open(&db).await;
        assert_eq!(whole_log(&store).await.len(), 3);
        store.close().await;
    });
}
