//! A session that an error left unusable is closed, and the next caller gets a usable one.

use crate::support::*;
use gdmarket_store::{AppendError, Db, Store, StoreError, on_tx};
use gdmarket_testkit::{TestDb, eventually, run};
use sqlx::{Connection, Executor, PgConnection};

const PARK: &str = "INSERT INTO generations (view, generation, built_to, built_at) \
                    VALUES ($1, 1, 1, 1) ON CONFLICT (view) DO UPDATE SET generation = 2";

async fn write_view(db: &Db, name: String) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    on_tx!(&mut tx, connection => sqlx::query(PARK).bind(name).execute(connection).await.map(drop))?;
    tx.commit().await
}

async fn count(db: &Db) -> i64 {
    let mut tx = db.snapshot().await.unwrap();
    let sql = "SELECT count(*) FROM generations";
    on_tx!(&mut tx, connection => sqlx::query_scalar(sql).fetch_one(connection).await).unwrap()
}

/// SQLite rolls a transaction back by itself when the disk is full. A limit on the file's pages has the same effect
/// on one connection only.
#[test]
fn sqlite_writes_views_again_after_a_transaction_that_it_rolled_back() {
    run(async {
        let db = TestDb::sqlite();
        let store = open(&db).await;
        let mut tx = store.views().begin().await.unwrap();
        let refused = on_tx!(&mut tx, connection => {
            connection.execute("PRAGMA max_page_count = 1").await.unwrap();
            let large = "x".repeat(1_000_000);
            sqlx::query(PARK).bind(large).execute(connection).await.map(drop)
        });
        let code = refused.unwrap_err().into_database_error().unwrap().code().unwrap().into_owned();
        assert_eq!(code, "13", "the disk is full, and SQLite has ended the transaction");
        // Further statements would be committed at once, whatever the transaction's outcome.
        on_tx!(&mut tx, connection => {
            sqlx::query(PARK).bind("x").execute(connection).await.unwrap_err();
        });
        tx.commit().await.unwrap_err();
        assert_eq!(count(store.views()).await, 0);
        for number in 0..20 {
            write_view(store.views(), format!("view {number}")).await.unwrap();
        }
        assert_eq!(count(store.views()).await, 20);
        store.close().await;
    });
}

#[test]
fn sqlite_writes_views_again_after_a_rolled_back_transaction_is_dropped() {
    run(async {
        let db = TestDb::sqlite();
        let store = open(&db).await;
        let mut tx = store.views().begin().await.unwrap();
        on_tx!(&mut tx, connection => {
            connection.execute("PRAGMA max_page_count = 1").await.unwrap();
            let large = "x".repeat(1_000_000);
            sqlx::query(PARK).bind(large).execute(connection).await.unwrap_err();
        });
        drop(tx);
        write_view(store.views(), "view".to_owned()).await.unwrap();
        assert_eq!(count(store.views()).await, 1);
        store.close().await;
    });
}

/// Writes with the appender, numbers, names, and the pool of the views, more often than the pool has sessions.
async fn write_everything(store: &Store, command: u128) -> Result<(), String> {
    let number = i64::try_from(command).unwrap();
    let appended: Result<_, AppendError> =
        store.appender().append(append(command, number, 0)).await;
    appended.map_err(|error| format!("append: {error}"))?;
    store.numbers().allocate("kind").await.map_err(|error| format!("allocate: {error}"))?;
    store.personal_data().erase(1).await.map_err(|error| format!("erase: {error}"))?;
    for view in 0..10 {
        let written = write_view(store.views(), format!("view {view}")).await;
        written.map_err(|error| format!("view {view}: {error}"))?;
    }
    Ok(())
}

/// Hosts disable writes while the disk is nearly full, and sessions of that time stay read-only.
#[test]
fn postgres_writes_again_after_a_read_only_period() {
    run(async {
        let db = TestDb::postgres().await;
        let store = open(&db).await;
        write_everything(&store, 1).await.unwrap();
        let mut admin = PgConnection::connect(db.url()).await.unwrap();
        let name: String = sqlx::query_scalar("SELECT current_database()::text")
            .fetch_one(&mut admin)
            .await
            .unwrap();
        let set = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
        admin.execute(set.as_str()).await.unwrap();
        assert!(db.cut_off("gdmarket").await > 0);
        // All pools fill with read-only sessions.
        eventually(LIMIT, async || match write_view(store.views(), "view".to_owned()).await {
            Err(error) if error.to_string().contains("read-only") => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        store.numbers().allocate("kind").await.unwrap_err();
        store.personal_data().erase(1).await.unwrap_err();
        store.appender().append(append(2, 2, 0)).await.unwrap_err();
        let reading = (0..12).map(|_| count(store.views()));
        futures::future::join_all(reading).await;
        let reset = format!("ALTER DATABASE {name} RESET default_transaction_read_only");
        admin.execute("SET default_transaction_read_only = off").await.unwrap();
        admin.execute(reset.as_str()).await.unwrap();
        let now = "SELECT clock_timestamp()::text";
        let writable_from: String = sqlx::query_scalar(now).fetch_one(&mut admin).await.unwrap();
        // Read-only sessions are replaced after half a second.
        eventually(LIMIT, async || {
            let sql = "SELECT clock_timestamp() > $1::timestamptz + interval '600 ms'";
            let mut clock = PgConnection::connect(db.url()).await.unwrap();
            let answer = sqlx::query_scalar(sql).bind(&writable_from).fetch_one(&mut clock);
            let is_over: bool = answer.await.unwrap();
            if is_over { Ok(()) } else { Err("too early") }
        })
        .await;
        for command in 100..110 {
            write_everything(&store, command).await.unwrap();
        }
        store.close().await;
    });
}
