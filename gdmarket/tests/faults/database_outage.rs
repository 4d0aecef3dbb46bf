//! PostgreSQL stops and starts under load: requests are refused with `Retry-After` during the outage, the market
//! recovers by itself, and nothing is lost or duplicated.

use crate::idle::wait_until_idle;
use crate::load::start_load;
use crate::stored_state::whole_log;
use crate::views::assert_rebuilt_views_equal;
use gdmarket_testkit::{
    MarketClient, Outcome, PgCluster, RequestLedger, ServerOptions, TestDb, all_resources,
    assert_detects_lost_and_duplicated_commands, eventually, run, times,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const STOPS: usize = 3;
const CALLERS: usize = 8;
/// The longest until all requests are answered after the outage.
const RECOVERS_WITHIN: Duration = Duration::from_secs(3);

#[test]
fn database_outage_loses_and_duplicates_nothing() {
    run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(RequestLedger::in_folder(folder.path()));
        let mut server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db).start().await;
        let market = MarketClient::at(&server.url(""));
        let load = start_load(&market, &ledger, CALLERS);
        for stop in 0..times(STOPS) {
            let item = market.register(100).await;
            let acknowledged = ledger.count(Outcome::Acknowledged);
            eventually(Duration::from_secs(30), || async {
                let now = ledger.count(Outcome::Acknowledged);
                if now > acknowledged + 50 { Ok(()) } else { Err(now) }
            })
            .await;
            if stop % 2 == 0 {
                cluster.stop();
            } else {
                cluster.crash();
            }
            assert_unavailable(&market).await;
            cluster.start();
            all_requests_recover(&market, item).await;
        }
        load.stop().await;
        wait_until_idle(&market, &db).await;
        let shown = all_resources(&market).await;
        let log = whole_log(&db).await;
        assert_eq!(ledger.violations(&log), Vec::<String>::new());
        assert_detects_lost_and_duplicated_commands(&ledger, &log);
        assert_rebuilt_views_equal(&shown, &mut server, &db).await;
    });
}

#[test]
fn control_commits_that_do_not_wait_for_the_disk_are_lost_in_a_crash() {
    run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(RequestLedger::in_folder(folder.path()));
        let server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db).start().await;
        no_append_waits_for_the_disk(&db).await;
        let market = MarketClient::at(&server.url(""));
        let load = start_load(&market, &ledger, CALLERS);
        eventually(Duration::from_secs(30), || async {
            let acknowledged = ledger.count(Outcome::Acknowledged);
            if acknowledged > 50 { Ok(()) } else { Err(acknowledged) }
        })
        .await;
        cluster.crash();
        load.stop().await;
        drop(server);
        cluster.start();
        let violations = ledger.violations(&whole_log(&db).await);
        assert!(violations.iter().any(|it| it.ends_with("0 times")), "{violations:?}");
    });
}

/// Turns `synchronous_commit` off from the next transaction on. The appender sets it on in its transactions, so a
/// trigger turns it off again inside them. The WAL writer, which would sync a little later, is stopped.
pub(crate) async fn no_append_waits_for_the_disk(db: &TestDb) {
    db.log_sql("ALTER SYSTEM SET synchronous_commit = off").await;
    db.log_sql("SELECT pg_reload_conf()").await;
    db.log_sql(
        "CREATE FUNCTION weaken_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         PERFORM set_config('synchronous_commit', 'off', true); RETURN NULL; END $$",
    )
    .await;
    // On every table: a commit that waits for the disk syncs all commits before it, too.
    db.log_sql(
        "DO $$ DECLARE name text; BEGIN \
         FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP \
         EXECUTE format('CREATE TRIGGER weaken_commit AFTER INSERT OR UPDATE OR DELETE ON %I \
         EXECUTE FUNCTION weaken_commit()', name); END LOOP; END $$",
    )
    .await;
    let writer = "SELECT pid::bigint FROM pg_stat_activity WHERE backend_type = 'walwriter'";
    let writer = db.views_number(writer).await.to_string();
    let stopped = Command::new("kill").args(["-STOP", &writer]).status().unwrap();
    assert!(stopped.success());
}

/// Waits until each kind of request is answered again: a registration, a change, a reservation, and queries. Writes
/// are repeated under a key, since their outcome may be unknown.
async fn all_requests_recover(market: &MarketClient, item: i64) {
    let reservation = json!({"customerName": "Renter", "customerId": 7, "itemNo": item});
    let path = format!("/items/{item}");
    let new_item = json!({"itemName": "Drill", "itemPrice": 1});
    tokio::join!(
        recovers(market, Method::POST, "/items", Some((format!("new-{item}"), new_item))),
        recovers(
            market,
            Method::PATCH,
            &path,
            Some((format!("change-{item}"), json!({"itemPrice": 200})))
        ),
        recovers(
            market,
            Method::POST,
            "/reservations",
            Some((format!("reserve-{item}"), reservation))
        ),
        recovers(market, Method::GET, "/itemInfoes", None),
        recovers(market, Method::GET, &path, None),
    );
}

async fn recovers(
    market: &MarketClient,
    method: Method,
    path: &str,
    sent: Option<(String, Value)>,
) {
    let (key, body) = sent.unzip();
    let recovery = eventually(RECOVERS_WITHIN, || async {
        match market.send(method.clone(), path, body.clone(), key.as_deref()).await {
            Ok(answer) if answer.status < 300 => Ok(()),
            other => Err(format!("{method} {path}: {other:?}")),
        }
    });
    // An answer that comes too late doesn't count.
    let in_time = tokio::time::timeout(RECOVERS_WITHIN, recovery).await;
    assert!(in_time.is_ok(), "{method} {path} isn't answered in time");
}

/// Writes and reads get 503 with `Retry-After`; the process is alive and ready.
async fn assert_unavailable(market: &MarketClient) {
    eventually(Duration::from_secs(10), || async {
        let answer = market.register_answer(100).await;
        if answer.status == 503 { Ok(()) } else { Err(answer) }
    })
    .await;
    for answer in [market.register_answer(100).await, market.get("/itemInfoes").await] {
        assert_eq!((answer.status, answer.retry_after), (503, true), "{answer:?}");
    }
    for health in ["/livez", "/readyz"] {
        assert_eq!(market.get(health).await.status, 200, "{health}");
    }
}
