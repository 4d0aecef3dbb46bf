//! `gdmarket replay` is cut short under load: it never claims to be done, what is served goes on, and
//! the next one is right.

use crate::kills::at_rest;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::market::Market;
use gdmarket_store::{Append, NewEvent, ReceiptKind, Store, StoreOptions, StreamId};
use gdmarket_testkit::{
    Engine, ServerOptions, TestDb, eventually, on_each_engine, run, size, times,
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
/// Items that the log holds already, three events each; on long runs a million events.
const ITEMS: (usize, usize) = (5_000, 333_334);
/// Numbers of those items: beyond what the load registers.
const FIRST: i64 = 1_000_000;
/// How often it is cut short, in each way in turn; on long runs twenty times.
const CUTS: (usize, usize) = (6, 20);
/// A tool that was told to end has ended by then.
const ENDS_WITHIN: Duration = Duration::from_mins(10);
const SOON: Duration = Duration::from_mins(1);

/// The ways to be cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Kill,
    Interrupt,
    Disconnect,
}

impl Cut {
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

    /// How it must end that didn't come to its own end before.
    fn is_told_by(self, status: ExitStatus) -> bool {
        match self {
            Self::Kill => status.signal() == Some(9),
            Self::Interrupt => status.code() == Some(130),
            Self::Disconnect => matches!(status.code(), Some(1 | 3)),
        }
    }
}

/// It may have ended by itself a moment ago.
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

/// The same with what it came to, by the last line of its output.
async fn replayed(db: &TestDb, arguments: &[&str]) -> (Output, Value) {
    let output = ended(replay(db, arguments)).await;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = told.lines().last().unwrap_or_default();
    let value = serde_json::from_str(last).unwrap_or(Value::Null);
    (output, value)
}

/// The tables of builds that aren't served.
async fn builds(db: &TestDb) -> Vec<String> {
    let mut tables = db.view_tables().await;
    tables.retain(|table| table.starts_with("view_item_info_v4_g"));
    tables
}

/// How many builds have begun: each takes the right to build anew.
async fn begun(db: &TestDb) -> i64 {
    let sql = "SELECT coalesce(max(epoch), 0) FROM leases WHERE name = 'build_item_info_v4'";
    db.views_number(sql).await
}

/// Waits for a build that comes after so many.
async fn has_begun_after(db: &TestDb, before: i64) {
    eventually(SOON, || async {
        let now = begun(db).await;
        if now > before { Ok(()) } else { Err(now) }
    })
    .await;
}

/// Items with three events each, as the write side appends them.
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
    async fn a_replay_that_is_cut_short_says_so_and_what_is_served_goes_on(db: &TestDb) {
        let items = size(ITEMS.0, ITEMS.1);
        fill(db, items).await;
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::in_folder(folder.path()));
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let market = Market::at(&server.url(""));
        let load = Load::start(&market, &ledger, CALLERS);

        let began = Instant::now();
        let (output, whole) = replayed(db, &["item-info", "--promote", "--json"]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let events = whole["replayed"]["events"].as_u64().unwrap();
        assert!(events >= u64::try_from(3 * items).unwrap(), "{whole}");
        assert_eq!(whole["replayed"]["counted"], whole["replayed"]["events"], "N of N events");
        let takes = began.elapsed();

        let mut cuts = vec![Cut::Kill, Cut::Interrupt];
        if db.engine() == Engine::Postgres {
            cuts.push(Cut::Disconnect);
        }
        let cuts: Vec<Cut> = cuts.into_iter().cycle().take(size(CUTS.0, CUTS.1)).collect();
        let mut cut_short = 0;
        for (number, cut) in (1..).zip(&cuts) {
            let before = begun(db).await;
            let replay = replay(db, &["item-info", "--promote", "--json"]);
            has_begun_after(db, before).await;
            // A moment of its work, a later one each time; not a condition.
            let part = f64::from(number - 1) / f64::from(u32::try_from(cuts.len()).unwrap());
            tokio::time::sleep(takes.mul_f64(part * 0.8)).await;
            cut.apply(&replay, db).await;
            let output = ended(replay).await;
            if !output.status.success() {
                cut_short += 1;
                let told = String::from_utf8_lossy(&output.stderr);
                assert!(!told.contains("panicked"), "{cut:?}: {told}");
                assert!(cut.is_told_by(output.status), "{cut:?}: {:?} {told}", output.status);
                let claims = String::from_utf8_lossy(&output.stdout).contains("\"promoted\":");
                assert!(!claims, "{cut:?}: it claims to be done");
            }
            let served = market.get(&format!("/itemInfoes/{FIRST}")).await.expect(200).body;
            assert_eq!(served["itemName"], "Boat", "{cut:?}");
        }
        assert!(cut_short * 2 >= cuts.len(), "{cut_short} of {} were cut short", cuts.len());

        let (output, again) = replayed(db, &["item-info", "--promote", "--json"]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(again["replayed"]["differing"], 0, "{again}");
        assert_eq!(builds(db).await, Vec::<String>::new(), "what was cut short is cleared away");
        load.stop().await;
        at_rest(&market, db).await;
        let (output, _) = replayed(db, &["--all", "--verify", "--json"]).await;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert_eq!(told.lines().count(), 4, "one line per view: {told}");
    }
}

/// One that stood still past its lease wakes up beside the one that has taken over.
#[test]
fn a_replay_that_wakes_up_late_ends_and_spoils_nothing() {
    run(async {
        let db = TestDb::postgres().await;
        fill(&db, ITEMS.0).await;
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::in_folder(folder.path()));
        let server = ServerOptions::new(PROGRAM).on(&db).start().await;
        let market = Market::at(&server.url(""));
        // Beside commands it takes its time, so it is stopped in the middle.
        let load = Load::start(&market, &ledger, CALLERS);
        for _ in 0..times(1) {
            let before = begun(&db).await;
            let late = replay(&db, &["item-info", "--promote", "--json"]);
            has_begun_after(&db, before).await;
            send("STOP", &late).await;
            let next = replay(&db, &["item-info", "--promote", "--json"]);
            has_begun_after(&db, before + 1).await;
            send("CONT", &late).await;
            let (late, next) = (ended(late).await, ended(next).await);
            let told = String::from_utf8_lossy(&late.stderr);
            // It hears who has taken over, unless the database, or a limit of its own, had ended its
            // connection while it stood still.
            let has_heard = late.status.code() == Some(1) && told.contains("by somebody else");
            let is_cut_off = Cut::Disconnect.is_told_by(late.status) && told.contains("database");
            assert!(has_heard || is_cut_off, "{:?}: {told}", late.status);
            assert!(next.status.success(), "{}", String::from_utf8_lossy(&next.stderr));
        }
        load.stop().await;
        at_rest(&market, &db).await;
        let (output, told) = replayed(&db, &["item-info", "--verify", "--json"]).await;
        assert_eq!((output.status.code(), &told["replayed"]["differing"]), (Some(0), &0.into()));
        assert_eq!(builds(&db).await, Vec::<String>::new(), "what it left is cleared away");
    });
}
