//! Foreign transactions on PostgreSQL allocate positions and stay open for long before they commit or roll back, while
//! others append. A consumer of the log skips no event, since positions are in the order of commits.

use crate::command_ids::command_id;
use crate::event_stream_client::EventStreamClient;
use crate::idle::wait_until_idle;
use crate::idle_transaction::{forward_positions, receive};
use crate::load::start_load;
use crate::stored_state::whole_log;
use crate::views::assert_rebuilt_views_equal;
use futures::future::join_all;
use gdmarket_testkit::{
    ForeignWriter, MarketClient, Outcome, RequestLedger, Server, ServerOptions, TestDb,
    all_resources, assert_detects_lost_and_duplicated_commands, eventually, run, seeded_rng, size,
};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Commands of other callers during the long transaction.
const COMMANDS: usize = 1_000;
const CALLERS: usize = 20;
/// How long the transaction stays open: longer than an append waits for the lock.
const HELD_FOR: Duration = Duration::from_secs(5);
/// The longest until the next acknowledgement afterwards.
const CONTINUES_WITHIN: Duration = Duration::from_secs(2);
/// The first number of foreign items: beyond those of the market.
const FOREIGN: i64 = 1_000_000;
/// Writers whose transactions each stay open for a moment, and the seconds that they work.
const WRITERS: i64 = 16;
const SECONDS: (usize, usize) = (6, 30);
const LONGEST_HOLD_MS: u64 = 200;
const SOON: Duration = Duration::from_secs(30);

/// A consumer of a server's log from its beginning.
struct Consumer {
    positions: UnboundedReceiver<i64>,
    task: JoinHandle<()>,
}

impl Consumer {
    async fn of(server: &Server) -> Self {
        let (sender, positions) = unbounded_channel();
        let follower = EventStreamClient::open(server, "", None).await;
        Self { positions, task: tokio::spawn(forward_positions(follower, sender)) }
    }

    /// Waits for `count` positions.
    async fn receive(self, count: usize) -> Vec<i64> {
        let received = receive(self.positions, count).await;
        self.task.abort();
        received
    }
}

/// Registers one item after another, and repeats each request until it is acknowledged.
async fn register(market: &MarketClient, ledger: &RequestLedger, caller: usize) {
    for item in 0..COMMANDS / CALLERS {
        let (key, body) = (format!("{caller}-{item}"), json!({"itemName": "Tent", "itemPrice": 1}));
        ledger.sent(&key, &command_id("/items", &key, 1), "register");
        eventually(SOON, || async {
            let answer = market.send(Method::POST, "/items", Some(body.clone()), Some(&key)).await;
            match ledger.answered(&key, &answer) {
                Outcome::Acknowledged => Ok(()),
                Outcome::Declined | Outcome::Rejected | Outcome::Refused | Outcome::Unknown => {
                    Err(answer.map(|answer| answer.status))
                }
            }
        })
        .await;
    }
}

/// A transaction holds the first position while other commands wait for theirs.
async fn one_long_transaction(commits: bool) {
    let db = TestDb::postgres().await;
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(RequestLedger::in_folder(folder.path()));
    let mut server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db).start().await;
    let market = MarketClient::at(&server.url(""));
    let consumer = Consumer::of(&server).await;
    let holder = ForeignWriter::begin_item(&db, FOREIGN).await;
    let others: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (market, ledger) = (market.clone(), Arc::clone(&ledger));
            tokio::spawn(async move { register(&market, &ledger, caller).await })
        })
        .collect();
    // The time that the transaction stays open, not a condition to wait for.
    sleep(HELD_FOR).await;
    assert_eq!(ledger.count(Outcome::Acknowledged), 0, "no command commits before the holder");
    assert!(consumer.positions.is_empty(), "no consumer receives events beyond it");
    if commits {
        holder.commit().await;
    } else {
        holder.roll_back().await;
    }
    eventually(CONTINUES_WITHIN, || async {
        let acknowledged = ledger.count(Outcome::Acknowledged);
        if acknowledged > 0 { Ok(()) } else { Err(acknowledged) }
    })
    .await;
    join_all(others).await.into_iter().for_each(|caller| caller.unwrap());
    wait_until_idle(&market, &db).await;
    let log = whole_log(&db).await;
    let written: Vec<i64> = log.iter().map(|event| event.position).collect();
    assert_eq!(consumer.receive(written.len()).await, written, "a consumer skips nothing");
    assert_eq!(
        log[0].stream.number == FOREIGN,
        commits,
        "the holder's event is the first, or absent"
    );
    assert_eq!(ledger.violations(&log), Vec::<String>::new());
    assert_detects_lost_and_duplicated_commands(&ledger, &log);
    let foreign = market.get(&format!("/items/{FOREIGN}")).await.status;
    assert_eq!(foreign, if commits { 200 } else { 404 });
    let shown = all_resources(&market).await;
    assert_rebuilt_views_equal(&shown, &mut server, &db).await;
}

/// Both run concurrently, each in a database of its own, since most of the time is waiting.
#[test]
fn consumer_skips_nothing_around_a_long_transaction_that_commits_or_rolls_back() {
    run(async {
        tokio::join!(one_long_transaction(true), one_long_transaction(false));
    });
}

/// Opens one transaction after another, each for a random time; some are rolled back.
async fn hold_positions(db: Arc<TestDb>, writer: i64, mut random: StdRng, until: Instant) {
    for item in (FOREIGN + writer..).step_by(usize::try_from(WRITERS).unwrap()) {
        if Instant::now() > until {
            return;
        }
        let holder = ForeignWriter::begin_item(&db, item).await;
        sleep(Duration::from_millis(random.random_range(0..=LONGEST_HOLD_MS))).await;
        if random.random_bool(0.1) {
            holder.roll_back().await;
        } else {
            holder.commit().await;
        }
    }
}

/// Runs many random transactions alongside a load. Returns the positions of the log, and those that a consumer has
/// received by the time of the last one. Without the trigger the transactions don't wait for each other.
async fn random_transactions(seconds: u64, with_trigger: bool) -> (Vec<i64>, Vec<i64>) {
    let mut random = seeded_rng("random transactions");
    let db = Arc::new(TestDb::postgres().await);
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(RequestLedger::in_folder(folder.path()));
    let server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db).start().await;
    let market = MarketClient::at(&server.url(""));
    if !with_trigger {
        db.log_sql("ALTER TABLE events DISABLE TRIGGER events_take_turns").await;
    }
    let mut consumer = Consumer::of(&server).await;
    let load = start_load(&market, &ledger, 2);
    let until = Instant::now() + Duration::from_secs(seconds);
    let writers = (0..WRITERS).map(|writer| {
        let own = StdRng::seed_from_u64(random.random());
        tokio::spawn(hold_positions(Arc::clone(&db), writer, own, until))
    });
    join_all(writers.collect::<Vec<_>>()).await.into_iter().for_each(|writer| writer.unwrap());
    load.stop().await;
    // One more event, which a consumer receives after all others.
    let last = eventually(SOON, || async {
        let answer = market.register_answer(1).await;
        if answer.status == 201 { Ok(answer.number("itemNo")) } else { Err(answer) }
    })
    .await;
    let is_last = |event: &&gdmarket_testkit::LogEvent| {
        event.stream.kind == "item" && event.stream.number == last
    };
    let log = whole_log(&db).await;
    let end = log.iter().find(is_last).unwrap().position;
    let mut received = Vec::new();
    while received.last() != Some(&end) {
        let next = tokio::time::timeout(SOON, consumer.positions.recv()).await;
        received.push(
            next.expect("another event in time").expect("the consumer's connection stays open"),
        );
    }
    consumer.task.abort();
    let written = log.iter().map(|event| event.position).filter(|position| *position <= end);
    (written.collect(), received)
}

fn seconds() -> u64 {
    u64::try_from(size(SECONDS.0, SECONDS.1)).unwrap()
}

#[test]
fn consumer_skips_nothing_around_sixteen_random_writers() {
    run(async {
        let (written, received) = random_transactions(seconds(), true).await;
        println!("{} events", written.len());
        assert_eq!(received, written);
    });
}

/// Control: without the trigger a writer commits a position that the consumer has already passed.
#[test]
fn control_without_the_trigger_a_consumer_skips_events() {
    run(async {
        let (written, received) =
            random_transactions(u64::try_from(SECONDS.0).unwrap() / 2, false).await;
        let skipped = written.iter().filter(|position| !received.contains(position)).count();
        println!("{skipped} of {} events were skipped", written.len());
        assert!(skipped > 0);
    });
}
