//! Foreign transactions on PostgreSQL take their positions, keep them for long, and commit then or give
//! up, while others append. Whoever follows the log skips nothing, since positions come in the order of
//! commits.

use crate::following::Following;
use crate::kills::{at_rest, whole_log};
use crate::ledger::{Ledger, Seen, assert_notices_what_is_lost_or_doubled};
use crate::load::Load;
use crate::market::Market;
use crate::seeded::seeded;
use crate::silent_writer::{first, follow};
use crate::views::{everything, rebuilt_views_equal};
use futures::future::join_all;
use gdmarket_testkit::{ForeignWriter, Server, ServerOptions, TestDb, eventually, run, size};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Commands of others beside the one that takes its time.
const OTHERS: usize = 1_000;
const CALLERS: usize = 20;
/// How long the one takes: longer than an append waits for its turn.
const HELD_FOR: Duration = Duration::from_secs(5);
/// How long anybody may wait for the next acknowledgement afterwards.
const GOES_ON_WITHIN: Duration = Duration::from_secs(2);
/// Numbers of foreign items: beyond those of the market.
const FOREIGN: i64 = 1_000_000;
/// Writers who hold their positions for a moment each, for so many seconds.
const WRITERS: i64 = 16;
const SECONDS: (usize, usize) = (6, 30);
const LONGEST_HOLD: u64 = 200;
const SOON: Duration = Duration::from_secs(30);

/// Whoever follows the log of a server from its beginning.
struct Consumer {
    positions: UnboundedReceiver<i64>,
    following: JoinHandle<()>,
}

impl Consumer {
    async fn of(server: &Server) -> Self {
        let (seen, positions) = unbounded_channel();
        let follower = Following::open(server, "", None).await;
        Self { positions, following: tokio::spawn(follow(follower, seen)) }
    }

    /// The positions that it was given, when they should be so many.
    async fn seen(self, many: usize) -> Vec<i64> {
        let seen = first(self.positions, many).await;
        self.following.abort();
        seen
    }
}

/// Registers one thing after another, each until it is acknowledged.
async fn register(market: &Market, ledger: &Ledger, caller: usize) {
    for thing in 0..OTHERS / CALLERS {
        let (key, body) =
            (format!("{caller}-{thing}"), json!({"itemName": "Tent", "itemPrice": 1}));
        let actor = gdmarket_domain::Actor::Operator("local".to_owned());
        let id = gdmarket_commands::http_command_id(&actor, "POST", "/items", &key, 1);
        ledger.sent(&key, &id.to_string(), "register");
        eventually(SOON, || async {
            let answer = market.send(Method::POST, "/items", Some(body.clone()), Some(&key)).await;
            match ledger.answered(&key, &answer) {
                Seen::Acknowledged => Ok(()),
                Seen::Declined | Seen::Refused | Seen::Unknown => {
                    Err(answer.map(|answer| answer.status))
                }
            }
        })
        .await;
    }
}

/// A transaction that holds the first position while everybody else wants theirs.
async fn a_long_hold(commits: bool) {
    let db = TestDb::postgres().await;
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::in_folder(folder.path()));
    let mut server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db).start().await;
    let market = Market::at(&server.url(""));
    let consumer = Consumer::of(&server).await;
    let holder = ForeignWriter::begin_item(&db, FOREIGN).await;
    let others: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (market, ledger) = (market.clone(), Arc::clone(&ledger));
            tokio::spawn(async move { register(&market, &ledger, caller).await })
        })
        .collect();
    // The holding is what is tried here, not a condition.
    sleep(HELD_FOR).await;
    assert_eq!(ledger.count(Seen::Acknowledged), 0, "nobody overtakes the holder");
    assert!(consumer.positions.is_empty(), "nobody is shown anything beyond it");
    if commits {
        holder.commit().await;
    } else {
        holder.roll_back().await;
    }
    eventually(GOES_ON_WITHIN, || async {
        let acknowledged = ledger.count(Seen::Acknowledged);
        if acknowledged > 0 { Ok(()) } else { Err(acknowledged) }
    })
    .await;
    join_all(others).await.into_iter().for_each(|caller| caller.unwrap());
    at_rest(&market, &db).await;
    let log = whole_log(&db).await;
    let written: Vec<i64> = log.iter().map(|event| event.position).collect();
    assert_eq!(consumer.seen(written.len()).await, written, "a consumer skips nothing");
    assert_eq!(log[0].stream.number == FOREIGN, commits, "the holder is the first, or not there");
    assert_eq!(ledger.broken_promises(&log), Vec::<String>::new());
    assert_notices_what_is_lost_or_doubled(&ledger, &log);
    let foreign = market.get(&format!("/items/{FOREIGN}")).await.status;
    assert_eq!(foreign, if commits { 200 } else { 404 });
    let shown = everything(&market).await;
    rebuilt_views_equal(&shown, &mut server, &db).await;
}

/// Both at the same time, each in a database of its own: most of it is waiting.
#[test]
fn nobody_skips_what_was_held_for_long_and_then_committed_or_given_up() {
    run(async {
        tokio::join!(a_long_hold(true), a_long_hold(false));
    });
}

/// Holds positions again and again, for a random while each; some are given up.
async fn hold(db: Arc<TestDb>, writer: i64, mut random: StdRng, until: Instant) {
    for item in (FOREIGN + writer..).step_by(usize::try_from(WRITERS).unwrap()) {
        if Instant::now() > until {
            return;
        }
        let holder = ForeignWriter::begin_item(&db, item).await;
        sleep(Duration::from_millis(random.random_range(0..=LONGEST_HOLD))).await;
        if random.random_bool(0.1) {
            holder.roll_back().await;
        } else {
            holder.commit().await;
        }
    }
}

/// The positions of the log after many random holds beside a load, and those that a consumer was given by
/// the time it had the last one; without the trigger nothing makes them wait for each other.
async fn random_holds(seconds: u64, in_turns: bool) -> (Vec<i64>, Vec<i64>) {
    let mut random = seeded("random holds");
    let db = Arc::new(TestDb::postgres().await);
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::in_folder(folder.path()));
    let server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db).start().await;
    let market = Market::at(&server.url(""));
    if !in_turns {
        db.log_sql("ALTER TABLE events DISABLE TRIGGER events_take_turns").await;
    }
    let mut consumer = Consumer::of(&server).await;
    let load = Load::start(&market, &ledger, 2);
    let until = Instant::now() + Duration::from_secs(seconds);
    let holding = (0..WRITERS).map(|writer| {
        let own = StdRng::seed_from_u64(random.random());
        tokio::spawn(hold(Arc::clone(&db), writer, own, until))
    });
    join_all(holding.collect::<Vec<_>>()).await.into_iter().for_each(|writer| writer.unwrap());
    load.stop().await;
    // One more, which every consumer is given after all others.
    let last = eventually(SOON, || async {
        let answer = market.register_answer(1).await;
        if answer.status == 201 { Ok(answer.number("itemNo")) } else { Err(answer) }
    })
    .await;
    let is_last = |event: &&gdmarket_store::RecordedEvent| {
        event.stream.kind == "item" && event.stream.number == last
    };
    let log = whole_log(&db).await;
    let end = log.iter().find(is_last).unwrap().position;
    let mut seen = Vec::new();
    while seen.last() != Some(&end) {
        let next = tokio::time::timeout(SOON, consumer.positions.recv()).await;
        seen.push(next.expect("another event in time").expect("a consumer that is not cut off"));
    }
    consumer.following.abort();
    let written = log.iter().map(|event| event.position).filter(|position| *position <= end);
    (written.collect(), seen)
}

fn seconds() -> u64 {
    u64::try_from(size(SECONDS.0, SECONDS.1)).unwrap()
}

#[test]
fn nobody_skips_what_sixteen_writers_hold_at_random() {
    run(async {
        let (written, seen) = random_holds(seconds(), true).await;
        println!("{} events", written.len());
        assert_eq!(seen, written);
    });
}

/// Control: without the trigger somebody commits a position behind a consumer's back.
#[test]
fn control_without_the_trigger_a_consumer_skips() {
    run(async {
        let (written, seen) = random_holds(u64::try_from(SECONDS.0).unwrap() / 2, false).await;
        let skipped = written.iter().filter(|position| !seen.contains(position)).count();
        println!("{skipped} of {} events were skipped", written.len());
        assert!(skipped > 0);
    });
}
