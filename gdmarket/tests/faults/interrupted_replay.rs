//! `gdmarket replay` is interrupted under load: it never reports success, the served view stays, and the next replay
//! is right.

use crate::idle::wait_until_idle;
use crate::load::start_load;
use gdmarket_store::{Append, NewEvent, ReceiptKind, Store, StoreOptions, StreamId};
use gdmarket_testkit::{
    Engine, MarketClient, RequestLedger, ServerOptions, TestDb, eventually, on_each_engine, run,
    size, times,
};
use serde_json::Value;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::Instant;
use uuid::Uuid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
const CALLERS: usize = 4;
/// Items that the log holds before, with three events each; on long runs a million events.
const ITEMS: (usize, usize) = (5_000, 333_334);
/// The first number of those items: beyond what the load registers.
const FIRST: i64 = 1_000_000;
/// The number of interruptions, of each kind in turn.
const INTERRUPTIONS: (usize, usize) = (6, 20);
/// The longest until an interrupted tool has ended.
const ENDS_WITHIN: Duration = Duration::from_mins(10);
const SOON: Duration = Duration::from_mins(1);

/// The kinds of interruption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interruption {
    Kill,
    Interrupt,
    Disconnect,
}

impl Interruption {
    async fn apply(self, replay: &Child, db: &TestDb) {
        let signal = match self {
            Self::Kill => "KILL",
            Self::Interrupt => "INT",
            Self::Disconnect => {
                db.cut_off("gdmarket tool").await;
                return;
            }
        };
        send(signal, replay).await;
    }

    /// Whether this is the exit status of a replay that was interrupted this way.
    fn fits(self, status: ExitStatus) -> bool {
        match self {
            Self::Kill => status.signal() == Some(9),
            Self::Interrupt => status.code() == Some(130),
            Self::Disconnect => matches!(status.code(), Some(1 | 3)),
        }
    }
}

/// Sends a signal; the replay may have ended by itself a moment ago.
async fn send(signal: &str, replay: &Child) {
    if let Some(pid) = replay.id() {
        Command::new("kill").args(["-s", signal, &pid.to_string()]).output().await.unwrap();
    }
}

fn replay(db: &TestDb, arguments: &[&str]) -> Child {
    let mut command = Command::new(PROGRAM);
    command.arg("replay").args(arguments).current_dir("/").kill_on_drop(true);
    match db.folder() {
        Some(folder) => command.arg("--data-dir").arg(folder),
        None => command.args(["--database-url", db.url()]),
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

async fn ended(replay: Child) -> Output {
    tokio::time::timeout(ENDS_WITHIN, replay.wait_with_output()).await.unwrap().unwrap()
}

/// Runs a replay to its end: its output, and the result on its last line.
async fn run_replay(db: &TestDb, arguments: &[&str]) -> (Output, Value) {
    let output = ended(replay(db, arguments)).await;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = stdout.lines().last().unwrap_or_default();
    let value = serde_json::from_str(last).unwrap_or(Value::Null);
    (output, value)
}

/// The tables of builds that aren't served.
async fn build_tables(db: &TestDb) -> Vec<String> {
    let mut tables = db.view_tables().await;
    tables.retain(|table| table.starts_with("view_item_info_v4_g"));
    tables
}

/// The number of builds that have started: each takes the build's lease in a new epoch.
async fn builds_started(db: &TestDb) -> i64 {
    let sql = "SELECT coalesce(max(epoch), 0) FROM leases WHERE name = 'build_item_info_v4'";
    db.views_number(sql).await
}

/// Waits until more builds than before have started.
async fn build_starts_after(db: &TestDb, before: i64) {
    eventually(SOON, || async {
        let now = builds_started(db).await;
        if now > before { Ok(()) } else { Err(now) }
    })
    .await;
}

/// Appends items with three events each, through the appender.
async fn fill(db: &TestDb, items: usize) {
    let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
    Store::migrate(&options).await.unwrap();
    let store = Store::open(&options).await.unwrap();
    let numbers: Vec<i64> = (FIRST..).take(items).collect();
    for numbers in numbers.chunks(1_000) {
        let appends = numbers.iter().map(|number| store.appender().append(item(*number)));
        futures::future::try_join_all(appends).await.unwrap();
    }
    store.close().await;
}

fn item(number: i64) -> Append {
    let event = |event_type: &str, data: String| NewEvent {
        event_type: event_type.to_owned(),
        event_version: "1".to_owned(),
        payload: format!("{{\"{event_type}\":{{\"itemNo\":{number},{data}}}}}"),
    };
    let renamed =
        |name: &str| event("ItemChanged", format!("\"itemName\":\"{name}\",\"itemPrice\":7"));
    let registered = "\"ownerId\":7,\"itemName\":\"Camera\",\"itemPrice\":100".to_owned();
    Append {
        command_id: Uuid::from_u128(u128::try_from(number).unwrap()),
        fingerprint: vec![],
        stream: StreamId::new("item", number),
        expected: 0,
        events: vec![event("ItemRegistered", registered), renamed("Tent"), renamed("Boat")],
        metadata: "{}".to_owned(),
        kind: ReceiptKind::Done,
        personal: None,
    }
}

on_each_engine! {
    async fn interrupted_replay_reports_failure_and_leaves_the_served_view(db: &TestDb) {
        let items = size(ITEMS.0, ITEMS.1);
        fill(db, items).await;
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(RequestLedger::in_folder(folder.path()));
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let market = MarketClient::at(&server.url(""));
        let load = start_load(&market, &ledger, CALLERS);

        let began = Instant::now();
        let (output, whole) = run_replay(db, &["item-info", "--promote", "--json"]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let events = whole["replayed"]["events"].as_u64().unwrap();
        assert!(events >= u64::try_from(3 * items).unwrap(), "{whole}");
        assert_eq!(whole["replayed"]["counted"], whole["replayed"]["events"], "N of N events");
        let duration = began.elapsed();

        let mut kinds = vec![Interruption::Kill, Interruption::Interrupt];
        if db.engine() == Engine::Postgres {
            kinds.push(Interruption::Disconnect);
        }
        let count = size(INTERRUPTIONS.0, INTERRUPTIONS.1);
        let interruptions: Vec<Interruption> = kinds.into_iter().cycle().take(count).collect();
        let mut interrupted = 0;
        for (number, interruption) in (1..).zip(&interruptions) {
            let before = builds_started(db).await;
            let replay = replay(db, &["item-info", "--promote", "--json"]);
            build_starts_after(db, before).await;
            // A later moment of its work each time, not a condition to wait for.
            let part = f64::from(number - 1) / f64::from(u32::try_from(count).unwrap());
            tokio::time::sleep(duration.mul_f64(part * 0.8)).await;
            interruption.apply(&replay, db).await;
            let output = ended(replay).await;
            if !output.status.success() {
                interrupted += 1;
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert!(!stderr.contains("panicked"), "{interruption:?}: {stderr}");
                let status = output.status;
                assert!(interruption.fits(status), "{interruption:?}: {status:?} {stderr}");
                let stdout = String::from_utf8_lossy(&output.stdout);
                assert!(!stdout.contains("\"promoted\":"), "{interruption:?}: it reports success");
            }
            let served = market.get(&format!("/itemInfoes/{FIRST}")).await.expect(200).body;
            assert_eq!(served["itemName"], "Boat", "{interruption:?}");
        }
        assert!(interrupted * 2 >= count, "{interrupted} of {count} were interrupted");

        let (output, again) = run_replay(db, &["item-info", "--promote", "--json"]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(again["replayed"]["differing"], 0, "{again}");
        assert_eq!(build_tables(db).await, [""; 0], "the tables of interrupted builds are removed");
        load.stop().await;
        wait_until_idle(&market, db).await;
        let (output, _) = run_replay(db, &["--all", "--verify", "--json"]).await;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{stdout}");
        assert_eq!(stdout.lines().count(), 4, "one line per view: {stdout}");
    }
}

/// A replay that was stopped for longer than its lease continues next to the replay that has taken over.
#[test]
fn resumed_replay_without_its_lease_ends_and_changes_nothing() {
    run(async {
        let db = TestDb::postgres().await;
        fill(&db, ITEMS.0).await;
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(RequestLedger::in_folder(folder.path()));
        let server = ServerOptions::new(PROGRAM).on(&db).start().await;
        let market = MarketClient::at(&server.url(""));
        // Next to commands a replay is slow, so it is stopped in the middle.
        let load = start_load(&market, &ledger, CALLERS);
        for _ in 0..times(1) {
            let before = builds_started(&db).await;
            let first = replay(&db, &["item-info", "--promote", "--json"]);
            build_starts_after(&db, before).await;
            send("STOP", &first).await;
            let next = replay(&db, &["item-info", "--promote", "--json"]);
            build_starts_after(&db, before + 1).await;
            send("CONT", &first).await;
            let (first, next) = (ended(first).await, ended(next).await);
            let stderr = String::from_utf8_lossy(&first.stderr);
            // It reports that another replay has taken over, unless the database, or a limit of its own, has ended its
            // connection while it was stopped.
            let is_fenced = first.status.code() == Some(1) && stderr.contains("by another process");
            let is_disconnected =
                Interruption::Disconnect.fits(first.status) && stderr.contains("database");
            assert!(is_fenced || is_disconnected, "{:?}: {stderr}", first.status);
            assert!(next.status.success(), "{}", String::from_utf8_lossy(&next.stderr));
        }
        load.stop().await;
        wait_until_idle(&market, &db).await;
        let (output, result) = run_replay(&db, &["item-info", "--verify", "--json"]).await;
        assert_eq!((output.status.code(), &result["replayed"]["differing"]), (Some(0), &0.into()));
        assert_eq!(build_tables(&db).await, Vec::<String>::new(), "its tables are removed");
    });
}
