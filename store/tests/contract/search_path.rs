//! `search_path` may be set for other programs: the market is found where it is. When that is ambiguous, the start is
//! refused instead of creating a second market or continuing with another market's tables.

use crate::support::*;
use gdmarket_store::{Store, StoreError, StoreOptions};
use gdmarket_testkit::{TestDb, run};
use sqlx::{Connection, Executor, PgConnection};

async fn name(db: &TestDb) -> String {
    let mut admin = PgConnection::connect(db.url()).await.unwrap();
    sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut admin).await.unwrap()
}

/// Sets the path of the current role in this database only, because other tests use the same role.
async fn set_path(db: &TestDb, path: &str) {
    let name = name(db).await;
    let mut admin = PgConnection::connect(db.url()).await.unwrap();
    admin
        .execute(
            format!("ALTER ROLE CURRENT_USER IN DATABASE {name} SET search_path = {path}").as_str(),
        )
        .await
        .unwrap();
}

fn in_schemas(db: &TestDb, path: &str) -> StoreOptions {
    let url = format!("{}?options=-c%20search_path%3D{path}", db.url());
    StoreOptions { url, ..StoreOptions::default() }
}

async fn market_in(db: &TestDb, schema: &str) -> Store {
    db.log_sql(&format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await;
    let options = in_schemas(db, schema);
    let migrated = Store::migrate(&options).await.unwrap();
    assert_eq!(migrated.schema.as_deref(), Some(schema));
    let store = Store::open(&options).await.unwrap();
    assert_eq!(store.schema(), Some(schema));
    store
}

fn is_refused<T: std::fmt::Debug>(tried: Result<T, StoreError>, names: &[&str]) {
    let Err(StoreError::Misconfigured(why)) = tried else { panic!("{tried:?}") };
    assert!(names.iter().all(|name| why.contains(name)) && why.contains("search_path"), "{why}");
}

#[test]
fn only_market_on_the_path_is_found_behind_an_empty_schema() {
    run(async {
        let db = TestDb::postgres().await;
        let store = market_in(&db, "shop").await;
        store.appender().append(append(1, 1, 0)).await.unwrap();
        db.log_sql("CREATE SCHEMA first").await;
        set_path(&db, "first, shop").await;
        let migrated = Store::migrate(&options(&db)).await.unwrap();
        assert_eq!((migrated.applied.len(), migrated.schema.as_deref()), (0, Some("shop")));
        let found = Store::open(&options(&db)).await.unwrap();
        assert_eq!((found.identity(), found.schema()), (store.identity(), Some("shop")));
        assert_eq!(whole_log(&found).await.len(), 1, "no second market is created");
        found.close().await;
        // A path in the URL is ambiguous.
        is_refused(Store::migrate(&in_schemas(&db, "first,shop")).await, &["first", "shop"]);
        store.close().await;
    });
}

#[test]
fn two_markets_on_the_path_are_refused_until_one_is_named() {
    run(async {
        for path in ["shop, public", "public, shop", "shop"] {
            let db = TestDb::postgres().await;
            let own = market_in(&db, "public").await;
            let other = market_in(&db, "shop").await;
            set_path(&db, path).await;
            is_refused(Store::migrate(&options(&db)).await, &["shop", "public"]);
            is_refused(Store::open(&options(&db)).await, &["shop", "public"]);
            for (schema, market) in [("public", &own), ("shop", &other)] {
                let named = Store::open(&in_schemas(&db, schema)).await.unwrap();
                assert_eq!(named.identity(), market.identity());
                named.close().await;
            }
            own.close().await;
            other.close().await;
        }
    });
}

#[test]
fn tables_of_other_programs_with_the_same_names_are_not_a_market() {
    run(async {
        let db = TestDb::postgres().await;
        let store = market_in(&db, "shop").await;
        db.log_sql(
            "CREATE TABLE events (id bigint); CREATE TABLE schema_migrations (version text)",
        )
        .await;
        set_path(&db, "shop").await;
        let found = Store::open(&options(&db)).await.unwrap();
        assert_eq!(found.identity(), store.identity());
        found.close().await;
        store.close().await;
    });
}
