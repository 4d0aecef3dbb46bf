//! The disk is full: a small file system of the test's own, which is enlarged later. Commands are refused as long as
//! there is no room, reads are answered, nothing acknowledged is lost, and a rebuild that finds no room leaves the
//! served view as it is.

use crate::idle::wait_until_idle;
use crate::small_disk::SmallDisk;
use crate::stored_state::whole_log;
use gdmarket_testkit::{LogEvent, MarketClient, ServerOptions, TestDb, eventually, run};
use reqwest::Method;
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
const SOON: Duration = Duration::from_secs(30);
/// The longest name that is allowed.
const NAME_LENGTH: usize = 100;
/// More registrations than the disk has room for.
const MAX_REGISTRATIONS: usize = 20_000;

/// The acknowledged items that aren't registered in the log exactly once.
fn not_registered_once(acknowledged: &[i64], log: &[LogEvent]) -> Vec<i64> {
    let times = |number: i64| {
        let registered = |event: &&LogEvent| {
            event.event_type == "ItemRegistered" && event.stream.number == number
        };
        log.iter().filter(registered).count()
    };
    acknowledged.iter().copied().filter(|number| times(*number) != 1).collect()
}

fn replay(folder: &Path, mode: &str) -> (Option<i32>, String) {
    let mut replay = Command::new(PROGRAM);
    replay.args(["replay", "--all", mode, "--data-dir"]).arg(folder).current_dir("/");
    let output = replay.output().expect("the program runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn full_disk_refuses_commands_and_loses_nothing() {
    run(async {
        let db = TestDb::sqlite();
        let folder = db.folder().expect("a folder").to_owned();
        let Some(disk) = SmallDisk::on(&folder, "3m", "a full disk") else { return };
        let server = ServerOptions::new(PROGRAM).on(&db).start().await;
        let market = MarketClient::at(&server.url(""));
        let body = json!({"itemName": "x".repeat(NAME_LENGTH), "itemPrice": 100});
        let mut acknowledged = vec![];
        let refused = loop {
            assert!(acknowledged.len() < MAX_REGISTRATIONS, "the disk is never full");
            let answer = market.send(Method::POST, "/items", Some(body.clone()), None).await;
            let answer = answer.expect("the server answers");
            match answer.status {
                // The log has the event, even if the views have no room for it.
                201 | 202 => acknowledged.push(answer.number("itemNo")),
                _ => break answer,
            }
        };
        assert_eq!((refused.status, refused.retry_after), (503, true), "{refused:?}");
        // A failure that all callers meet is logged once in a while, not for each of them.
        for _ in 0..200 {
            let answer = market.send(Method::POST, "/items", Some(body.clone()), None).await;
            assert_eq!(answer.expect("the server answers").status, 503);
        }
        let log = server.stderr();
        let failed: Vec<&str> = log.lines().filter(|line| line.contains("\"/items\"")).collect();
        assert!((1..=60).contains(&failed.len()), "{} lines", failed.len());
        assert!(failed.iter().all(|line| line.contains("cause")), "{failed:?}");
        assert!(log.lines().count() < 200, "{} lines:\n{log}", log.lines().count());
        market.get("/items/1").await.expect(200);
        let livez = market.get("/livez").await;
        assert_eq!(livez.status, 200, "{livez:?}");

        disk.grow();
        eventually(SOON, || async {
            let answer = market.register_answer(100).await;
            if answer.status == 201 { Ok(()) } else { Err(answer) }
        })
        .await;
        wait_until_idle(&market, &db).await;
        let mut log = whole_log(&db).await;
        assert_eq!(not_registered_once(&acknowledged, &log), [0; 0]);
        let is_last = |event: &LogEvent| Some(&event.stream.number) == acknowledged.last();
        log.retain(|event| event.stream.kind != "item" || !is_last(event));
        assert_eq!(
            not_registered_once(&acknowledged, &log).len(),
            1,
            "control: a missing item is found"
        );
        let (code, output) = replay(&folder, "--verify");
        assert_eq!(code, Some(0), "{output}");

        disk.fill();
        let (code, output) = replay(&folder, "--promote");
        assert_eq!(code, Some(1), "{output}");
        assert!(output.contains("full"), "it reports the reason: {output}");
        market.get("/itemInfoes/1").await.expect(200);
        disk.empty();
        let (code, output) = replay(&folder, "--promote");
        assert_eq!(code, Some(0), "{output}");
        assert!(!db.view_tables().await.iter().any(|table| table.contains("_g")), "no leftovers");
        market.get("/itemInfoes/1").await.expect(200);
    });
}
