//! Defaults of the database or the role that were set for other programs change nothing.

use crate::support::*;
use gdmarket_store::{Store, StoreOptions, on_tx};
use gdmarket_testkit::{TestDb, run};
use sqlx::{Connection, Executor, PgConnection};

/// Settings under which statements would time out, change their meaning, or fail under concurrency.
const HOSTILE: &[&str] = &[
    "default_transaction_isolation = 'serializable'",
    "default_transaction_deferrable = on",
    "statement_timeout = '50ms'",
    "lock_timeout = '1ms'",
    "idle_session_timeout = '100ms'",
    "idle_in_transaction_session_timeout = '20ms'",
    "standard_conforming_strings = off",
    "row_security = on",
    "synchronous_commit = off",
    "datestyle = 'German, DMY'",
    "bytea_output = 'escape'",
    "search_path = 'elsewhere'",
];

async fn set(db: &TestDb, settings: &[&str]) {
    let mut admin = PgConnection::connect(db.url()).await.unwrap();
    let name: String =
        sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut admin).await.unwrap();
    for setting in settings {
        admin.execute(format!("ALTER DATABASE {name} SET {setting}").as_str()).await.unwrap();
    }
}

async fn append_with_others(stores: [&Store; 2], round: u128) {
    let appends =
        (0..200_u128).map(|n| {
            let command = round * 1_000 + n;
            let [one, other] = stores;
            let store = if n % 2 == 0 { one.clone() } else { other.clone() };
            async move {
                store.appender().append(append(command, i64::try_from(command).unwrap(), 0)).await
            }
        });
    for appended in all(spawn_each(appends)).await {
        appended.unwrap();
    }
}

async fn assert_works(db: &TestDb, round: u128) {
    let (store, other) =
        (Store::open(&options(db)).await.unwrap(), Store::open(&options(db)).await.unwrap());
    append_with_others([&store, &other], round).await;
    store.numbers().allocate("kind").await.unwrap();
    store.personal_data().erase(1).await.unwrap();
    let mut tx = store.views().begin().await.unwrap();
    let (isolation, slept): (String, String) = on_tx!(&mut tx, connection => {
        let isolation = sqlx::query_scalar("SHOW transaction_isolation").fetch_one(&mut *connection).await.unwrap();
        // This takes longer than any of the limits.
        let slept = sqlx::query_scalar("SELECT pg_sleep(0.3)::text").fetch_one(connection).await.unwrap();
        (isolation, slept)
    });
    assert_eq!((isolation.as_str(), slept.as_str()), ("read committed", ""));
    tx.commit().await.unwrap();
    append_with_others([&store, &other], round + 1).await;
    store.close().await;
    other.close().await;
}

#[test]
fn defaults_set_before_or_after_the_first_start_change_nothing() {
    run(async {
        let db = TestDb::postgres().await;
        set(&db, &HOSTILE[..HOSTILE.len() - 1]).await;
        open(&db).await.close().await;
        assert_works(&db, 1).await;
        set(&db, HOSTILE).await;
        assert_works(&db, 3).await;
        let store = open(&db).await;
        assert_eq!(whole_log(&store).await.len(), 800, "all events are in one log");
        store.close().await;
    });
}

#[test]
fn running_store_ignores_a_search_path_that_is_set_later() {
    run(async {
        let db = TestDb::postgres().await;
        let store = open(&db).await;
        store.appender().append(append(1, 1, 0)).await.unwrap();
        db.log_sql("CREATE SCHEMA elsewhere").await;
        set(&db, HOSTILE).await;
        assert!(db.cut_off("gdmarket").await > 0);
        store.appender().append(append(2, 2, 0)).await.unwrap();
        gdmarket_testkit::eventually(LIMIT, async || store.numbers().allocate("kind").await).await;
        assert_eq!(whole_log(&store).await.len(), 2);
        store.close().await;
    });
}

#[test]
fn schema_that_the_url_names_has_its_own_log() {
    run(async {
        let db = TestDb::postgres().await;
        let store = open(&db).await;
        db.log_sql("CREATE SCHEMA other").await;
        let url = format!("{}?options=-c%20search_path%3Dother", db.url());
        let options = StoreOptions { url, ..StoreOptions::default() };
        Store::migrate(&options).await.unwrap();
        let other = Store::open(&options).await.unwrap();
        assert_ne!(other.identity().log_id, store.identity().log_id);
        other.verify_schema().await.unwrap();
        other.appender().append(append(1, 1, 0)).await.unwrap();
        assert_eq!((whole_log(&other).await.len(), whole_log(&store).await.len()), (1, 0));
        other.close().await;
        store.close().await;
    });
}
