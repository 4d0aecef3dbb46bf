//! A foreign transaction on PostgreSQL starts to append and stays idle. Commands are refused with `Retry-After` until
//! the database's limit ends the transaction, then all continue; a consumer skips none of the events around it.

use crate::event_stream_client::EventStreamClient;
use crate::idle::wait_until_idle;
use crate::load::start_load;
use crate::stored_state::whole_log;
use crate::views::assert_rebuilt_views_equal;
use gdmarket_testkit::{
    ForeignWriter, MarketClient, Outcome, RequestLedger, ServerOptions, TestDb, all_resources,
    assert_detects_lost_and_duplicated_commands, eventually, run, times,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

const ROUNDS: usize = 2;
const CALLERS: usize = 4;
/// How long an append waits for the lock of the log (`lock_timeout`), and the same with a margin for a busy machine.
const LOCK_LIMIT: Duration = Duration::from_secs(2);
const REFUSED_WITHIN: Duration = Duration::from_secs(5);
/// How long a transaction may be idle (`idle_in_transaction_session_timeout`), with a margin.
const ENDED_WITHIN: Duration = Duration::from_secs(8);
/// The longest until commands are acknowledged after its end.
const CONTINUES_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn idle_foreign_transaction_blocks_commands_for_seconds_only() {
    run(async {
        let db = TestDb::postgres().await;
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(RequestLedger::in_folder(folder.path()));
        let mut server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db).start().await;
        let market = MarketClient::at(&server.url(""));
        let follower = EventStreamClient::open(&server, "", None).await;
        let (sender, positions) = unbounded_channel();
        let following = tokio::spawn(forward_positions(follower, sender));
        let load = start_load(&market, &ledger, CALLERS);
        for round in 1..=times(ROUNDS) {
            let acknowledged = ledger.count(Outcome::Acknowledged);
            eventually(Duration::from_secs(30), || async {
                let now = ledger.count(Outcome::Acknowledged);
                if now > acknowledged + 20 { Ok(()) } else { Err(now) }
            })
            .await;
            let mut writer = ForeignWriter::begin(&db, i64::try_from(round).unwrap(), true).await;
            let idle_since = Instant::now();
            let waited = assert_unavailable(&market).await;
            assert!(waited >= LOCK_LIMIT / 2, "refused after {waited:?}: not because of the lock");
            assert!(market.get("/itemInfoes").await.status == 200, "reads are answered");
            while writer.is_there().await {
                assert!(idle_since.elapsed() < ENDED_WITHIN, "the database doesn't end it");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let ended = Instant::now();
            eventually(CONTINUES_WITHIN, || async {
                let answer = market.register_answer(100).await;
                if answer.status == 201 { Ok(()) } else { Err(answer) }
            })
            .await;
            println!(
                "idle for {:?}, commands continue after {:?}",
                ended - idle_since,
                ended.elapsed()
            );
        }
        load.stop().await;
        wait_until_idle(&market, &db).await;
        let shown = all_resources(&market).await;
        let log = whole_log(&db).await;
        assert!(log.iter().all(|event| event.stream.kind != "foreign"), "it never committed");
        assert_eq!(ledger.violations(&log), Vec::<String>::new());
        assert_detects_lost_and_duplicated_commands(&ledger, &log);
        let written: Vec<i64> = log.iter().map(|event| event.position).collect();
        assert_eq!(receive(positions, written.len()).await, written, "a consumer skips nothing");
        following.abort();
        assert_rebuilt_views_equal(&shown, &mut server, &db).await;
    });
}

/// Sends the positions of the events that a consumer receives, as they come.
pub(crate) async fn forward_positions(
    mut follower: EventStreamClient,
    positions: UnboundedSender<i64>,
) {
    while positions.send(follower.event().await["position"].as_i64().unwrap()).is_ok() {}
}

/// Receives `count` positions.
pub(crate) async fn receive(mut positions: UnboundedReceiver<i64>, count: usize) -> Vec<i64> {
    let mut received = Vec::with_capacity(count);
    while received.len() < count {
        let next = tokio::time::timeout(Duration::from_secs(30), positions.recv()).await;
        received.push(
            next.expect("another event in time").expect("the consumer's connection stays open"),
        );
    }
    received
}

/// Control: without the database's limit the transaction blocks commands for as long as it stays open.
#[test]
fn control_without_the_limit_an_idle_transaction_blocks_commands() {
    run(async {
        let db = TestDb::postgres().await;
        let server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db).start().await;
        let market = MarketClient::at(&server.url(""));
        market.register(100).await;
        let mut writer = ForeignWriter::begin(&db, 1, false).await;
        let idle_since = Instant::now();
        while idle_since.elapsed() < ENDED_WITHIN + CONTINUES_WITHIN {
            assert_unavailable(&market).await;
        }
        assert!(writer.is_there().await);
        writer.roll_back().await;
        eventually(CONTINUES_WITHIN, || async {
            let answer = market.register_answer(100).await;
            if answer.status == 201 { Ok(()) } else { Err(answer) }
        })
        .await;
    });
}

/// A write gets 503 with `Retry-After` in time. Returns how long that took.
async fn assert_unavailable(market: &MarketClient) -> Duration {
    let sent = Instant::now();
    let answer = market.register_answer(100).await;
    let waited = sent.elapsed();
    assert_eq!((answer.status, answer.retry_after), (503, true), "{answer:?}");
    assert!(waited < REFUSED_WITHIN, "{waited:?}");
    println!("refused with {} after {waited:?} (limit {LOCK_LIMIT:?})", answer.code());
    waited
}
