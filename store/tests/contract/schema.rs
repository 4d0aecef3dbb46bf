//! Migrations, the schemas that a program opens, and the exclusive use of a data folder.

use crate::support::*;
use gdmarket_store::{Db, Store, StoreError, StoreOptions, on_db};
use gdmarket_testkit::{Engine, TestDb, on_each_engine};
use sqlx::Executor;

on_each_engine! {
    async fn empty_database_requires_its_migrations(db: &TestDb) {
        match Store::open(&options(db)).await {
            Err(StoreError::NeedsMigration { schema: 0, program }) => assert!(program > 0),
            other => panic!("{other:?}"),
        }
        let applied = Store::migrate(&options(db)).await.unwrap().applied;
        assert!(applied.contains(&"0001_log".to_owned()), "{applied:?}");
        assert!(Store::migrate(&options(db)).await.unwrap().applied.is_empty());
        Store::open(&options(db)).await.unwrap().close().await;
    }

    async fn concurrent_migrations_wait_for_each_other(db: &TestDb) {
        let options = options(db);
        let migrating = (0..4).map(|_| {
            let options = options.clone();
            async move { Store::migrate(&options).await.unwrap().applied }
        });
        let mut applied: Vec<String> = all(spawn_each(migrating)).await.concat();
        let count = applied.len();
        applied.sort();
        applied.dedup();
        assert_eq!(applied.len(), count, "each was applied once");
        Store::open(&options).await.unwrap().close().await;
    }

    async fn schema_for_newer_programs_only_is_refused(db: &TestDb) {
        Store::migrate(&options(db)).await.unwrap();
        let newer = |serves_from| {
            format!("INSERT INTO schema_migrations VALUES (90{serves_from}, 'later', {serves_from}, 0)")
        };
        on_db!(write &raw(db).await, pool => {
            pool.execute(newer(1).as_str()).await.unwrap();
        });
        // A later schema may still serve this program.
        Store::open(&options(db)).await.unwrap().close().await;
        on_db!(write &raw(db).await, pool => {
            pool.execute(newer(99).as_str()).await.unwrap();
        });
        match Store::open(&options(db)).await {
            Err(StoreError::TooNew { schema: 9099, program }) => assert!(program < 99),
            other => panic!("{other:?}"),
        }
    }

    async fn identity_is_generated_once(db: &TestDb) {
        let store = open(db).await;
        let identity = *store.identity();
        assert_eq!(identity.epoch, 1);
        assert_eq!(identity.log_id.get_version_num(), 4);
        store.close().await;
        let again = open(db).await;
        assert_eq!(*again.identity(), identity);
        again.close().await;
        let other_db = match db.engine() {
            Engine::Sqlite => TestDb::sqlite(),
            Engine::Postgres => TestDb::postgres().await,
        };
        let other = open(&other_db).await;
        assert_ne!(other.identity().log_id, identity.log_id);
        other.close().await;
    }

    async fn database_ends_idle_writers_and_does_not_block_readers(db: &TestDb) {
        let store = open(db).await;
        match raw(db).await {
            Db::Postgres(pool) => {
                let show = |name: &str| format!("SELECT current_setting('{name}')");
                let timeout: String =
                    sqlx::query_scalar(&show("idle_in_transaction_session_timeout")).fetch_one(&pool).await.unwrap();
                assert_eq!(timeout, "5s");
                let trigger: i8 = sqlx::query_scalar(
                    "SELECT tgenabled FROM pg_trigger WHERE tgname = 'events_take_turns'",
                ).fetch_one(&pool).await.unwrap();
                assert_eq!(u8::try_from(trigger), Ok(b'A'), "always");
            }
            Db::Sqlite { write, .. } => {
                let mode: String =
                    sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&write).await.unwrap();
                assert_eq!(mode, "wal");
            }
        }
        store.close().await;
    }
}

/// The limit is a setting of the database, not of its tables, so a copy may lack it.
#[test]
fn missing_limit_of_idle_transactions_is_set_again() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        open(&db).await.close().await;
        let limit = async || -> String {
            let Db::Postgres(pool) = raw(&db).await else { panic!("PostgreSQL") };
            let show = "SELECT current_setting('idle_in_transaction_session_timeout')";
            sqlx::query_scalar(show).fetch_one(&pool).await.unwrap()
        };
        for (by_hand, expected) in [("RESET", "5s"), ("SET {} = '7s'", "7s"), ("SET {} = 0", "0")] {
            let Db::Postgres(pool) = raw(&db).await else { panic!("PostgreSQL") };
            let name: String = sqlx::query_scalar("SELECT current_database()::text")
                .fetch_one(&pool)
                .await
                .unwrap();
            let setting = "idle_in_transaction_session_timeout";
            let by_hand = by_hand.replace("RESET", "RESET {}").replace("{}", setting);
            pool.execute(format!("ALTER DATABASE {name} {by_hand}").as_str()).await.unwrap();
            Store::migrate(&options(&db)).await.unwrap();
            assert_eq!(limit().await, expected, "{by_hand}");
        }
    });
}

#[test]
fn data_folder_is_served_by_one_process_and_opened_by_others() {
    gdmarket_testkit::run(async {
        let db = TestDb::sqlite();
        let first = open(&db).await;
        first.lock_data_folder().unwrap();
        first.lock_data_folder().unwrap();
        let joined = open(&db).await;
        assert!(matches!(joined.lock_data_folder(), Err(StoreError::Locked(_))));
        let exclusive = StoreOptions { exclusive: true, ..options(&db) };
        assert!(matches!(Store::open(&exclusive).await, Err(StoreError::Locked(_))));
        first.close().await;
        drop(first);
        joined.close().await;
        let next = Store::open(&exclusive).await.unwrap();
        next.close().await;
    });
}

#[test]
fn url_of_another_engine_is_refused() {
    gdmarket_testkit::run(async {
        let options = StoreOptions { url: "mysql://x".to_owned(), ..StoreOptions::default() };
        assert!(matches!(Store::open(&options).await, Err(StoreError::Misconfigured(_))));
        let nowhere = "postgres://postgres@127.0.0.1:1/x".to_owned();
        let options = StoreOptions { url: nowhere, ..StoreOptions::default() };
        assert!(matches!(Store::open(&options).await, Err(StoreError::Unavailable(_))));
    });
}
