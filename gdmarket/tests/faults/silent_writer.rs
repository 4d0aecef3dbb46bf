//! Somebody else's transaction begins to append on PostgreSQL and goes silent. Commands are refused
//! politely, the database's own limit ends it, and all go on; nobody skips what was written around it.

use crate::following::Following;
use crate::kills::{at_rest, whole_log};
use crate::ledger::{Ledger, Seen, assert_notices_what_is_lost_or_doubled};
use crate::load::Load;
use crate::market::Market;
use crate::views::{everything, rebuilt_views_equal};
use gdmarket_testkit::{ForeignWriter, ServerOptions, TestDb, eventually, run, times};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

const ROUNDS: usize = 2;
const CALLERS: usize = 4;
/// How long an append waits for its turn (`lock_timeout`), and that with a margin for a busy machine.
const LOCK_LIMIT: Duration = Duration::from_secs(2);
const REFUSED_WITHIN: Duration = Duration::from_secs(5);
/// How long a transaction may be silent (`idle_in_transaction_session_timeout`), with a margin.
const ENDED_WITHIN: Duration = Duration::from_secs(8);
/// The longest anybody may wait after its end.
const GOES_ON_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn a_silent_writer_holds_everybody_up_for_seconds_only() {
    run(async {
        let db = TestDb::postgres().await;
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::in_folder(folder.path()));
        let mut server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db).start().await;
        let market = Market::at(&server.url(""));
        let follower = Following::open(&server, "", None).await;
        let (seen, positions) = unbounded_channel();
        let following = tokio::spawn(follow(follower, seen));
        let load = Load::start(&market, &ledger, CALLERS);
        for round in 1..=times(ROUNDS) {
            let acknowledged = ledger.count(Seen::Acknowledged);
            eventually(Duration::from_secs(30), || async {
                let now = ledger.count(Seen::Acknowledged);
                if now > acknowledged + 20 { Ok(()) } else { Err(now) }
            })
            .await;
            let mut writer = ForeignWriter::begin(&db, i64::try_from(round).unwrap(), true).await;
            let silent_since = Instant::now();
            let waited = refused_politely(&market).await;
            assert!(
                waited >= LOCK_LIMIT / 2,
                "refused after {waited:?}: not for the turn that is taken"
            );
            assert!(market.get("/itemInfoes").await.status == 200, "reading goes on");
            while writer.is_there().await {
                assert!(silent_since.elapsed() < ENDED_WITHIN, "nobody ends it");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let ended = Instant::now();
            eventually(GOES_ON_WITHIN, || async {
                let answer = market.register_answer(100).await;
                if answer.status == 201 { Ok(()) } else { Err(answer) }
            })
            .await;
            println!("silent for {:?}, going on after {:?}", ended - silent_since, ended.elapsed());
        }
        load.stop().await;
        at_rest(&market, &db).await;
        let shown = everything(&market).await;
        let log = whole_log(&db).await;
        assert!(log.iter().all(|event| event.stream.kind != "foreign"), "it never committed");
        assert_eq!(ledger.broken_promises(&log), Vec::<String>::new());
        assert_notices_what_is_lost_or_doubled(&ledger, &log);
        let written: Vec<i64> = log.iter().map(|event| event.position).collect();
        assert_eq!(first(positions, written.len()).await, written, "a consumer skips nothing");
        following.abort();
        rebuilt_views_equal(&shown, &mut server, &db).await;
    });
}

/// Tells the positions that a consumer is handed, as they come.
pub(crate) async fn follow(mut follower: Following, seen: UnboundedSender<i64>) {
    while seen.send(follower.event().await["position"].as_i64().unwrap()).is_ok() {}
}

/// So many of them.
pub(crate) async fn first(mut positions: UnboundedReceiver<i64>, many: usize) -> Vec<i64> {
    let mut seen = Vec::with_capacity(many);
    while seen.len() < many {
        let next = tokio::time::timeout(Duration::from_secs(30), positions.recv()).await;
        seen.push(next.expect("another event in time").expect("a consumer that is not cut off"));
    }
    seen
}

/// Control: without the database's limit nobody ends it, and the wait goes on for as long as it likes.
#[test]
fn control_without_the_limit_a_silent_writer_stops_the_market() {
    run(async {
        let db = TestDb::postgres().await;
        let server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db).start().await;
        let market = Market::at(&server.url(""));
        market.register(100).await;
        let mut writer = ForeignWriter::begin(&db, 1, false).await;
        let silent_since = Instant::now();
        while silent_since.elapsed() < ENDED_WITHIN + GOES_ON_WITHIN {
            refused_politely(&market).await;
        }
        assert!(writer.is_there().await);
        writer.roll_back().await;
        eventually(GOES_ON_WITHIN, || async {
            let answer = market.register_answer(100).await;
            if answer.status == 201 { Ok(()) } else { Err(answer) }
        })
        .await;
    });
}

/// A write is 503 with `Retry-After`, not never; says after how long.
async fn refused_politely(market: &Market) -> Duration {
    let asked = Instant::now();
    let answer = market.register_answer(100).await;
    let waited = asked.elapsed();
    assert_eq!((answer.status, answer.retry_after), (503, true), "{answer:?}");
    assert!(waited < REFUSED_WITHIN, "{waited:?}");
    println!("refused with {} after {waited:?} (limit {LOCK_LIMIT:?})", answer.code());
    waited
}
