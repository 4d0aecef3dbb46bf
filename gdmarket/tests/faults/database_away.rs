//! PostgreSQL stops and starts under load: refusals while it is away that say when to come back,
//! recovery by itself, nothing lost or doubled.

use crate::kills::{at_rest, whole_log};
use crate::ledger::{Ledger, Seen, assert_notices_what_is_lost_or_doubled};
use crate::load::Load;
use crate::market::Market;
use crate::views::{everything, rebuilt_views_equal};
use gdmarket_testkit::{PgCluster, ServerOptions, TestDb, eventually, run, times};
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const STOPS: usize = 3;
const CALLERS: usize = 8;
/// The longest anybody may wait after the database's return.
const RECOVERS_WITHIN: Duration = Duration::from_secs(3);

#[test]
fn a_database_that_goes_away_costs_nothing_but_time() {
    run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::in_folder(folder.path()));
        let mut server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db).start().await;
        let market = Market::at(&server.url(""));
        let load = Load::start(&market, &ledger, CALLERS);
        for stop in 0..times(STOPS) {
            let item = market.register(100).await;
            let acknowledged = ledger.count(Seen::Acknowledged);
            eventually(Duration::from_secs(30), || async {
                let now = ledger.count(Seen::Acknowledged);
                if now > acknowledged + 50 { Ok(()) } else { Err(now) }
            })
            .await;
            if stop % 2 == 0 {
                cluster.stop();
            } else {
                cluster.crash();
            }
            refused_politely(&market).await;
            cluster.start();
            all_of_it_recovers(&market, item).await;
        }
        load.stop().await;
        at_rest(&market, &db).await;
        let shown = everything(&market).await;
        let log = whole_log(&db).await;
        assert_eq!(ledger.broken_promises(&log), Vec::<String>::new());
        assert_notices_what_is_lost_or_doubled(&ledger, &log);
        rebuilt_views_equal(&shown, &mut server, &db).await;
    });
}

/// Control: where commits don't wait for the disk, promises are broken by a crash.
#[test]
fn control_without_the_wait_for_the_disk_a_crash_breaks_promises() {
    run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::in_folder(folder.path()));
        let server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db).start().await;
        no_append_waits_for_the_disk(&db).await;
        let market = Market::at(&server.url(""));
        let load = Load::start(&market, &ledger, CALLERS);
        eventually(Duration::from_secs(30), || async {
            let acknowledged = ledger.count(Seen::Acknowledged);
            if acknowledged > 50 { Ok(()) } else { Err(acknowledged) }
        })
        .await;
        cluster.crash();
        load.stop().await;
        drop(server);
        cluster.start();
        let broken = ledger.broken_promises(&whole_log(&db).await);
        assert!(broken.iter().any(|told| told.ends_with("0 times")), "{broken:?}");
    });
}

/// From the next transaction on, on a server that is set up so for everybody; against that our appends
/// protect themselves, so they are told within their transactions. Whoever writes the log out by and by
/// stands still.
pub(crate) async fn no_append_waits_for_the_disk(db: &TestDb) {
    db.log_sql("ALTER SYSTEM SET synchronous_commit = off").await;
    db.log_sql("SELECT pg_reload_conf()").await;
    db.log_sql(
        "CREATE FUNCTION hurry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         PERFORM set_config('synchronous_commit', 'off', true); RETURN NULL; END $$",
    )
    .await;
    // Of every table: what waits for the disk takes with it all that was committed before.
    db.log_sql(
        "DO $$ DECLARE name text; BEGIN \
         FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP \
         EXECUTE format('CREATE TRIGGER hurry AFTER INSERT OR UPDATE OR DELETE ON %I \
         EXECUTE FUNCTION hurry()', name); END LOOP; END $$",
    )
    .await;
    let writer = "SELECT pid::bigint FROM pg_stat_activity WHERE backend_type = 'walwriter'";
    let writer = db.views_number(writer).await.to_string();
    let stopped = Command::new("kill").args(["-STOP", &writer]).status().unwrap();
    assert!(stopped.success());
}

/// Each kind of request by itself is answered in time again: new things, a change, a reservation, and
/// queries. Asking again is under a key, since an outcome may be unknown once more.
async fn all_of_it_recovers(market: &Market, item: i64) {
    let wanted = json!({"customerName": "Renter", "customerId": 7, "itemNo": item});
    let path = format!("/items/{item}");
    let thing = json!({"itemName": "Drill", "itemPrice": 1});
    tokio::join!(
        recovers(market, Method::POST, "/items", Some((format!("new-{item}"), thing))),
        recovers(
            market,
            Method::PATCH,
            &path,
            Some((format!("change-{item}"), json!({"itemPrice": 200})))
        ),
        recovers(market, Method::POST, "/reservations", Some((format!("reserve-{item}"), wanted))),
        recovers(market, Method::GET, "/itemInfoes", None),
        recovers(market, Method::GET, &path, None),
    );
}

async fn recovers(market: &Market, method: Method, path: &str, sent: Option<(String, Value)>) {
    let (key, body) = sent.unzip();
    let answered = eventually(RECOVERS_WITHIN, || async {
        match market.send(method.clone(), path, body.clone(), key.as_deref()).await {
            Ok(answer) if answer.status < 300 => Ok(()),
            other => Err(format!("{method} {path}: {other:?}")),
        }
    });
    // An answer that comes too late is none.
    let in_time = tokio::time::timeout(RECOVERS_WITHIN, answered).await;
    assert!(in_time.is_ok(), "{method} {path} isn't answered in time");
}

/// Writes and reads are 503 with `Retry-After`; the process itself is well and ready.
async fn refused_politely(market: &Market) {
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
