//! Tests of the helpers: databases that are created and dropped, a cluster that stops and starts.

use std::time::Duration;

use gdmarket_testkit::{Account, Engine, PgCluster, TestDb, eventually, on_each_engine, run};
use sqlx::{Connection, PgConnection};

on_each_engine! {
    async fn every_database_is_a_new_one(db: &TestDb) {
        let other = match db.engine() {
            Engine::Sqlite => {
                assert!(db.folder().expect("a folder").is_dir());
                TestDb::sqlite()
            }
            Engine::Postgres => TestDb::postgres().await,
        };
        assert_ne!(db.url(), other.url());
    }
}

#[test]
fn dropped_database_is_gone() {
    run(async {
        let db = TestDb::postgres().await;
        let url = db.url().to_owned();
        let connected = PgConnection::connect(&url).await.expect("the fresh database");
        drop(db);
        drop(connected);
        PgConnection::connect(&url).await.expect_err("the database is dropped");
    });
}

#[test]
fn cluster_stops_crashes_and_starts_again() {
    run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        cluster.stop();
        PgConnection::connect(db.url()).await.expect_err("the server is stopped");
        cluster.start();
        cluster.crash();
        PgConnection::connect(db.url()).await.expect_err("the server has crashed");
        cluster.start();
        eventually(Duration::from_secs(10), || PgConnection::connect(db.url())).await;
    });
}

#[test]
#[should_panic(expected = "last seen: \"nothing\"")]
fn eventually_reports_the_last_value_when_it_times_out() {
    run(async {
        eventually(Duration::from_millis(20), || async { Err::<(), _>("nothing") }).await;
    });
}

#[test]
fn postgresql_never_runs_as_root() {
    assert!(!matches!(Account::unprivileged(), Account::Other { uid: 0, .. }));
}
