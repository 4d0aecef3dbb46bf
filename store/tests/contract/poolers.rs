//! The store behind a pooler: it requires sessions of its own, and nothing more.

use crate::support::*;
use gdmarket_store::{ServerFault, Store, StoreError, StoreOptions};
use gdmarket_testkit::{PgBouncer, PgCluster, TestDb, run};
use sqlx::{Connection, Executor, PgConnection};
use std::time::Duration;

/// The limit within which a start is refused.
const REFUSED_WITHIN: Duration = Duration::from_secs(20);

fn through(pooler: &PgBouncer, db: &TestDb) -> StoreOptions {
    StoreOptions { url: pooler.url(db), ..StoreOptions::default() }
}

async fn refused(pooler: &PgBouncer, db: &TestDb) -> StoreError {
    let options = through(pooler, db);
    let migrated = tokio::time::timeout(REFUSED_WITHIN, Store::migrate(&options)).await;
    let refused = migrated.expect("the migration is refused in time").unwrap_err();
    let opened = tokio::time::timeout(REFUSED_WITHIN, Store::open(&options)).await;
    assert_eq!(
        opened.expect("the start is refused in time").unwrap_err().to_string(),
        refused.to_string()
    );
    refused
}

#[test]
fn store_works_behind_a_pooler_in_session_mode() {
    run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        let pooler =
            PgBouncer::before(&cluster, "pool_mode = session\ndefault_pool_size = 50").await;
        Store::migrate(&through(&pooler, &db)).await.unwrap();
        let store = Store::open(&through(&pooler, &db)).await.unwrap();
        store.verify_schema().await.unwrap();
        for answer in at_once(&store, (1..50).map(|n| append(n, 1_000, 0)).collect()).await {
            drop(answer);
        }
        let appends = (1..50_i64).map(|n| append(u128::try_from(n).unwrap() + 100, n, 0));
        for answer in at_once(&store, appends.collect()).await {
            answer.unwrap();
        }
        store.numbers().allocate("kind").await.unwrap();
        assert_eq!(whole_log(&store).await.len(), 50);
        store.close().await;
    });
}

#[test]
fn pooler_that_shares_sessions_is_refused_with_one_line() {
    run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        for settings in [
            "pool_mode = transaction",
            "pool_mode = transaction\nserver_round_robin = 1\nmin_pool_size = 4",
            // One transaction blocks all others.
            "pool_mode = transaction\ndefault_pool_size = 1",
        ] {
            let pooler = PgBouncer::before(&cluster, settings).await;
            use_some_sessions(&pooler, &db).await;
            let refused = refused(&pooler, &db).await;
            assert!(
                matches!(&refused, StoreError::Misconfigured(why)
                    if why.contains("pooler in transaction mode") && !why.contains('\n')),
                "{settings}: {refused:?}"
            );
        }
        let pooler = PgBouncer::before(&cluster, "pool_mode = statement").await;
        let refused = refused(&pooler, &db).await;
        let named = StoreError::Server { fault: ServerFault::Pooler, why: String::new() };
        assert!(refused.to_string().starts_with(&named.to_string()), "{refused}");
    });
}

/// Uses the pooler from several clients, so that it has several sessions to assign.
async fn use_some_sessions(pooler: &PgBouncer, db: &TestDb) {
    let url = pooler.url(db);
    let mut others = Vec::new();
    for _ in 0..3 {
        let mut other = PgConnection::connect(&url).await.unwrap();
        let started = tokio::time::timeout(Duration::from_secs(1), other.execute("BEGIN")).await;
        others.extend(started.is_ok().then_some(other));
    }
    for mut other in others {
        other.execute("ROLLBACK").await.unwrap();
        other.close().await.unwrap();
    }
}

#[test]
fn pooler_without_a_second_session_is_reported_in_time() {
    run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        let pooler =
            PgBouncer::before(&cluster, "pool_mode = session\ndefault_pool_size = 1").await;
        let refused = refused(&pooler, &db).await;
        assert!(
            matches!(&refused, StoreError::Server { fault: ServerFault::NoConnectionLeft, .. }),
            "{refused:?}"
        );
    });
}
