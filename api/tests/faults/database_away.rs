//! PostgreSQL stops and starts under load: refusals while it is away that say when to come back,
//! recovery by itself, nothing lost or doubled.

use crate::kills::{at_rest, whole_log};
use crate::ledger::{Ledger, Seen};
use crate::load::Load;
use crate::market::Market;
use crate::views::{everything, rebuilt_views_equal};
use gdmarket_testkit::{PgCluster, ServerOptions, TestDb, eventually, run, times};
use std::sync::Arc;
use std::time::Duration;

const STOPS: usize = 3;
const CALLERS: usize = 8;
/// What the issue of this market allows after the database's return.
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
            eventually(RECOVERS_WITHIN, || async {
                let answer = market.register_answer(100).await;
                if answer.status == 201 { Ok(()) } else { Err(answer) }
            })
            .await;
        }
        load.stop().await;
        at_rest(&market, &db).await;
        let shown = everything(&market).await;
        assert_eq!(ledger.broken_promises(&whole_log(&db).await), Vec::<String>::new());
        rebuilt_views_equal(&shown, &mut server, &db).await;
    });
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
