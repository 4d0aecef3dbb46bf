//! A schema without a guarantee that the log relies on is refused, and each fault is named.

use crate::support::*;
use gdmarket_store::{Check, Store, StoreError};
use gdmarket_testkit::{TestDb, on_each_engine, run};
use sqlx::{Connection, Executor, PgConnection};

/// The error of a start, and the findings of a check.
async fn named(db: &TestDb) -> (String, Vec<String>) {
    let store = Store::open(&options(db)).await.unwrap();
    let refused = match store.verify_schema().await {
        Err(StoreError::Schema(why)) => why,
        other => panic!("{other:?}"),
    };
    let mut check = Check::begin(&store).await.unwrap();
    let found = check.schema().await.unwrap();
    assert!(found.iter().all(|finding| finding.is_fault && finding.code == "schema"));
    // The check's snapshot holds connections, for which closing waits.
    drop(check);
    store.close().await;
    (refused, found.into_iter().map(|finding| finding.detail).collect())
}

async fn is_named(db: &TestDb, expected: &str) {
    let (refused, found) = named(db).await;
    assert!(refused.contains(expected), "{refused}");
    assert!(found.iter().any(|detail| detail.contains(expected)), "{found:?}");
}

on_each_engine! {
    async fn schema_of_the_migrations_has_no_fault(db: &TestDb) {
        let store = open(db).await;
        store.verify_schema().await.unwrap();
        assert_eq!(Check::begin(&store).await.unwrap().schema().await.unwrap(), []);
        store.close().await;
    }
}

/// Changes by hand, and the faults that are named.
const ON_POSTGRES: &[(&str, &str)] = &[
    ("DROP TRIGGER events_take_turns ON events", "events_take_turns is missing"),
    ("ALTER TABLE events DISABLE TRIGGER events_take_turns", "isn't ENABLE ALWAYS"),
    ("ALTER TABLE events ENABLE TRIGGER events_take_turns", "isn't ENABLE ALWAYS"),
    ("ALTER TABLE events ENABLE REPLICA TRIGGER events_take_turns", "isn't ENABLE ALWAYS"),
    (
        "CREATE OR REPLACE FUNCTION events_take_turns() RETURNS trigger LANGUAGE plpgsql \
         AS 'BEGIN RETURN NULL; END'",
        "doesn't take the lock",
    ),
    ("ALTER TABLE events ALTER COLUMN position SET CACHE 20", "keeps 20 numbers per session"),
    ("ALTER TABLE events ALTER COLUMN position SET INCREMENT 2", "doesn't count up by 1"),
    ("ALTER TABLE events ALTER COLUMN position DROP IDENTITY", "events.position has no sequence"),
    (
        "ALTER TABLE events DROP CONSTRAINT events_pkey",
        "events has no unique key over (aggregate_id, aggregate_type, sequence)",
    ),
    (
        "ALTER TABLE events DROP CONSTRAINT events_position_key",
        "events has no unique key over (position)",
    ),
    (
        "ALTER TABLE events DROP CONSTRAINT events_pkey; \
         CREATE UNIQUE INDEX ON events (aggregate_type, aggregate_id, sequence) WHERE sequence > 1",
        "events has no unique key over (aggregate_id, aggregate_type, sequence)",
    ),
    (
        "ALTER TABLE events DROP CONSTRAINT events_pkey; ALTER TABLE events ALTER sequence DROP NOT NULL; \
         CREATE UNIQUE INDEX ON events (aggregate_type, aggregate_id, sequence)",
        "events.sequence takes NULL",
    ),
    (
        "ALTER TABLE receipts DROP CONSTRAINT receipts_pkey",
        "receipts has no unique key over (command_id)",
    ),
    ("ALTER TABLE numbers DROP CONSTRAINT numbers_pkey", "numbers has no unique key over (kind)"),
    ("ALTER TABLE leases DROP CONSTRAINT leases_pkey", "leases has no unique key over (name)"),
    ("ALTER TABLE deadlines DROP COLUMN payload", "deadlines has no column payload"),
];

#[test]
fn faults_of_a_postgresql_schema_are_named() {
    run(async {
        let whole = TestDb::postgres().await;
        open(&whole).await.close().await;
        for (by_hand, expected) in ON_POSTGRES {
            let db = whole.copy().await;
            db.log_sql(by_hand).await;
            is_named(&db, expected).await;
        }
    });
}

#[test]
fn faults_of_a_sqlite_schema_are_named() {
    run(async {
        for table in ["events", "receipts", "numbers"] {
            let db = TestDb::sqlite();
            open(&db).await.close().await;
            // A tool that saves and restores a table may leave it like this.
            db.log_sql(&format!(
                "CREATE TABLE copied AS SELECT * FROM {table}; DROP TABLE {table}; \
                 ALTER TABLE copied RENAME TO {table}"
            ))
            .await;
            is_named(&db, &format!("{table} has no unique key over (")).await;
            let (refused, _) = named(&db).await;
            assert_eq!(refused.contains("AUTOINCREMENT"), table == "events", "{refused}");
        }
        let db = TestDb::sqlite();
        open(&db).await.close().await;
        db.views_sql("DROP TABLE deadlines").await;
        is_named(&db, "deadlines has no column due_at").await;
    });
}

#[test]
fn database_that_cannot_store_every_name_is_refused_before_any_migration() {
    run(async {
        let db = TestDb::postgres().await;
        let name = db.url().rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
        let latin = format!("{name}_latin");
        let mut admin = PgConnection::connect(db.url()).await.unwrap();
        let create = format!(
            "CREATE DATABASE {latin} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        );
        admin.execute(create.as_str()).await.unwrap();
        let options = gdmarket_store::StoreOptions {
            url: db.url().replace(&name, &latin),
            ..gdmarket_store::StoreOptions::default()
        };
        let refused = Store::migrate(&options).await;
        let mut there = PgConnection::connect(&options.url).await.unwrap();
        let tables: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
                .fetch_one(&mut there)
                .await
                .unwrap();
        there.close().await.unwrap();
        admin.execute(format!("DROP DATABASE {latin} WITH (FORCE)").as_str()).await.unwrap();
        let why = refused.unwrap_err().to_string();
        assert!(why.contains("LATIN1") && why.contains("UTF8"), "{why}");
        assert_eq!(tables, 0);
    });
}
