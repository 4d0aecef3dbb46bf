//! Rows of the log that belong to no stream, written by another program or by hand: each parks alone and is
//! named with its position in the log lines, the metrics, `parked` and `check`. Everything else continues,
//! after a restart too.

use crate::command_line::{PROGRAM, errors};
use crate::tools::{Tools, register};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, on_each_engine};
use reqwest::Client;
use serde_json::{Value, json};
use std::time::Duration;

const VIEW: &str = "item_info_v4";
/// A subscription that reads all of these rows, and parks those of no aggregate.
const READS_ALL: &str = "reservation_process";
const SOON: Duration = Duration::from_secs(20);

/// Rows that a program with access to the log may write: type, id, event type, payload, metadata as SQL.
const STRAYS: [[&str; 5]; 9] = [
    ["'item'", "'abc'", "'ItemChanged'", "'{}'", "'{}'"],
    ["'item'", "'-5'", "'ItemChanged'", "'{}'", "'{}'"],
    ["'item'", "'007'", "'ItemChanged'", "'{}'", "'{}'"],
    ["'item'", "'99999999999999999999'", "'ItemChanged'", "'{}'", "'[1]'"],
    ["'reservation'", "''", "'Odd'", "'1'", "'null'"],
    ["'payment'", "'a b'", "'Odd'", "'\"text\"'", "'{}'"],
    // Of an aggregate that this program doesn't know.
    ["'invoice'", "'5'", "'InvoiceSent'", "'{}'", "'{}'"],
    ["'invoice'", "'abc'", "'InvoiceSent'", "'{}'", "'{}'"],
    ["''", "'5'", "'Odd'", "'{}'", "'{}'"],
];

/// Bytes that are no text, which only SQLite stores.
const BYTES: [[&str; 5]; 4] = [
    ["'item'", "CAST(x'ff' AS TEXT)", "'ItemChanged'", "'{}'", "'{}'"],
    ["CAST(x'fe' AS TEXT)", "'1'", "'Odd'", "'{}'", "'{}'"],
    ["'item'", "'3'", "CAST(x'ff' AS TEXT)", "'{}'", "'{}'"],
    ["'item'", "'1'", "'ItemChanged'", "CAST(x'7bff' AS TEXT)", "CAST(x'ff' AS TEXT)"],
];

async fn write(db: &TestDb, [kind, id, event_type, payload, metadata]: [&str; 5]) -> i64 {
    // Items 1 and 3 have an event already.
    let sequence = if ["'1'", "'3'"].contains(&id) { 2 } else { 1 };
    db.log_sql(&format!(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
         payload, metadata) VALUES ({kind}, {id}, {sequence}, {event_type}, '1', {payload}, {metadata})"
    ))
    .await;
    db.log_number("SELECT max(position) FROM events").await
}

async fn await_item(server: &Server, no: i64) {
    eventually(SOON, || async {
        let answer = Client::new().get(server.url(&format!("/itemInfoes/{no}"))).send().await;
        let item: Value = answer.expect("an answer").json().await.expect("JSON");
        if item["alarmStatus"] == "Alerted" { Ok(()) } else { Err(item) }
    })
    .await;
}

/// The positions that keys of a subscription stopped at.
fn parked_at(tools: &Tools<'_>, subscription: &str) -> Vec<i64> {
    let all = tools.json("parked list");
    let own = all.iter().filter(|of| of["subscription"] == subscription);
    let mut positions: Vec<i64> = own.filter_map(|of| of["sincePosition"].as_i64()).collect();
    positions.sort_unstable();
    positions
}

async fn metric(server: &Server, name: &str) -> f64 {
    let metrics = Client::new().get(server.url("/metrics")).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    let found = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("{name}: {metrics}"))
}

/// Asserts that new items are shown, no loop is blocked or behind, and the tools read the log.
async fn assert_all_else_continues(server: &Server, tools: &Tools<'_>, no: i64) {
    register(server).await;
    await_item(server, no).await;
    let lag = format!("gdmarket_projection_lag_events{{subscription=\"{VIEW}\"}}");
    for subscription in [VIEW, "holding"] {
        let blocked = format!("gdmarket_projection_blocked{{subscription=\"{subscription}\"}}");
        assert!(metric(server, &blocked).await.abs() < 0.5);
    }
    eventually(SOON, || async {
        let lag = metric(server, &lag).await;
        if lag < 0.5 { Ok(()) } else { Err(lag) }
    })
    .await;
    let listed = tools.json("events list --limit 1000");
    assert!(listed.iter().any(|event| event["stream"] == "item/abc"), "{listed:?}");
    tools.text("views status");
}

on_each_engine! {
    async fn row_of_no_stream_parks_alone_and_all_else_continues(db: &TestDb) {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        for _ in 0..3 {
            register(&server).await;
        }
        await_item(&server, 3).await;
        // Too long for an index of PostgreSQL's if it weren't compressed there.
        let long_kind = format!("'item/{}'", "x".repeat(9_000));
        let mut rows = STRAYS.to_vec();
        rows.push([&long_kind, "'5'", "'Odd'", "'{}'", "'{}'"]);
        if db.folder().is_some() {
            rows.extend(BYTES);
        }
        let mut positions = Vec::new();
        for row in rows {
            positions.push((row, write(db, row).await));
        }
        assert_all_else_continues(&server, &tools, 4).await;

        // Each is named with its position in all places that an operator reads.
        let of_kind = |kind: &str| -> Vec<i64> {
            let own = positions.iter().filter(|([of, ..], _)| *of == kind);
            own.map(|(_, position)| *position).collect()
        };
        let all: Vec<i64> = positions.iter().map(|(_, position)| *position).collect();
        for (subscription, expected) in [
            (VIEW, of_kind("'item'")),
            ("reservations_v3", of_kind("'reservation'")),
            ("payments_v3", of_kind("'payment'")),
            (READS_ALL, all),
        ] {
            eventually(SOON, || async {
                let parked = parked_at(&tools, subscription);
                if parked == expected { Ok(()) } else { Err((subscription, parked)) }
            })
            .await;
            let of = |name: &str| format!("{name}{{subscription=\"{subscription}\"}}");
            let count = u32::try_from(expected.len()).expect("few");
            assert!((metric(&server, &of("gdmarket_projection_parked")).await - f64::from(count)).abs() < 0.5);
            let first = u32::try_from(expected[0]).expect("small");
            let shown = metric(&server, &of("gdmarket_projection_parked_position")).await;
            assert!((shown - f64::from(first)).abs() < 0.5, "{shown}");
        }
        assert!(!parked_at(&tools, "holding").is_empty());
        let damaged = metric(&server, "gdmarket_log_damaged_rows_total ").await;
        assert!(damaged >= f64::from(u32::try_from(positions.len()).expect("few")), "{damaged}");
        let log = server.stderr();
        let check = tools.run("check --json");
        assert_eq!(check.status.code(), Some(5), "{}", errors(&check));
        let found: Value = serde_json::from_slice(&check.stdout).expect("JSON");
        let faults = found["faults"].to_string();
        for (row, position) in &positions {
            let named = format!("\"position\":{position}");
            assert!(log.contains(&named), "{row:?} at {position}: {log}");
            assert!(faults.contains(&format!("position {position}:")), "{row:?} at {position}: {faults}");
            let shown = tools.json(&format!("events show {position}"));
            assert!(shown[0]["unreadable"].is_string(), "{shown:?}");
        }
        let shown = tools.text(&format!("parked show item-info item/abc@{}", positions[0].1));
        assert!(shown.contains("aggregate_id"), "{shown}");
        let export = tools.run("events export out.ndjson");
        assert_eq!(export.status.code(), Some(5), "{}", errors(&export));
        assert!(errors(&export).contains(&format!("position {}", positions[0].1)), "{}", errors(&export));
        let verified = tools.run("replay --all --verify");
        assert_eq!(verified.status.code(), Some(0), "{}", errors(&verified));
        assert!(errors(&verified).contains("gdmarket check"), "{}", errors(&verified));

        // The same after a restart, and after a rebuild.
        server.restart().await;
        assert_all_else_continues(&server, &tools, 5).await;
        assert_eq!(parked_at(&tools, VIEW), of_kind("'item'"));
        tools.text("replay item-info --promote");
        assert_all_else_continues(&server, &tools, 6).await;
        assert_eq!(parked_at(&tools, VIEW), of_kind("'item'"));

        // After a repair its stream is brought up to date.
        let payload = json!({"ItemChanged": {"itemNo": 2, "itemName": "Repaired", "itemPrice": 7}});
        db.log_sql(&format!(
            "UPDATE events SET aggregate_id = '2', sequence = 2, payload = '{payload}' \
             WHERE aggregate_id = 'abc'"
        ))
        .await;
        tools.text(&format!("parked retry item_info_v4 item/abc@{}", positions[0].1));
        eventually(SOON, || async {
            let answer = Client::new().get(server.url("/itemInfoes/2")).send().await;
            let item: Value = answer.expect("an answer").json().await.expect("JSON");
            if item["itemName"] == "Repaired" && item["stale"].is_null() { Ok(()) } else { Err(item) }
        })
        .await;
        assert_eq!(parked_at(&tools, VIEW), of_kind("'item'").split_off(1));

        // Rows that an operator drops or repairs are no longer parked.
        let invoice = of_kind("'invoice'")[0];
        tools.text("parked drop reservation_process invoice/5 --reason theirs");
        let other = of_kind("'invoice'")[1];
        db.log_sql(&format!(
            "UPDATE events SET aggregate_type = 'alarm', aggregate_id = '90', \
             event_type = 'Alerted', payload = '{{\"Alerted\":{{\"itemNo\":90}}}}' \
             WHERE position = {other}"
        ))
        .await;
        tools.text(&format!("parked retry reservation_process invoice/abc@{other}"));
        eventually(SOON, || async {
            let parked = parked_at(&tools, READS_ALL);
            let is_left = parked.iter().any(|position| [invoice, other].contains(position));
            if is_left { Err(parked) } else { Ok(()) }
        })
        .await;
    }
}

/// Values that SQLite refuses unless its checks are switched off.
const VALUES: [[&str; 5]; 6] = [
    ["x'6974656d'", "'1'", "'ItemChanged'", "'{}'", "'{}'"],
    ["NULL", "'1'", "'ItemChanged'", "'{}'", "'{}'"],
    ["'item'", "NULL", "'ItemChanged'", "'{}'", "'{}'"],
    ["'item'", "x'31'", "'ItemChanged'", "'{}'", "'{}'"],
    ["'item'", "'1'", "x'ff'", "'{}'", "'{}'"],
    ["'item'", "'3'", "NULL", "'{}'", "'{}'"],
];

/// Makes SQLite accept any value in `events`, or check them again.
async fn accept_any_value(db: &TestDb, accepts_any: bool) {
    let (keep, sql, version) = if accepts_any {
        let loose = "(SELECT replace(replace(sql, ' STRICT', ''), ' NOT NULL', '') FROM kept)";
        ("CREATE TABLE kept AS SELECT sql FROM sqlite_master WHERE name = 'events'", loose, 900)
    } else {
        ("SELECT 1", "(SELECT sql FROM kept)", 901)
    };
    let end = if accepts_any { "SELECT 1" } else { "DROP TABLE kept" };
    db.log_sql(&format!(
        "{keep}; PRAGMA writable_schema = ON; \
         UPDATE sqlite_master SET sql = {sql} WHERE name = 'events'; \
         PRAGMA schema_version = {version}; {end}"
    ))
    .await;
}

#[test]
fn rows_whose_values_are_no_text_park_alone() {
    gdmarket_testkit::run(async {
        let db = TestDb::sqlite();
        let tools = Tools { db: &db };
        let mut server = ServerOptions::new(PROGRAM).on(&db).start().await;
        for _ in 0..3 {
            register(&server).await;
        }
        server.terminate().await;
        assert_eq!(server.wait(SOON).await.code(), Some(0), "{}", server.stderr());
        accept_any_value(&db, true).await;
        let mut positions = Vec::new();
        for row in VALUES {
            positions.push(write(&db, row).await);
        }
        accept_any_value(&db, false).await;
        let mut server = ServerOptions::new(PROGRAM).on(&db).start().await;
        for no in [4, 5] {
            eventually(SOON, || async {
                let parked = parked_at(&tools, READS_ALL);
                if parked == positions { Ok(()) } else { Err(parked) }
            })
            .await;
            register(&server).await;
            await_item(&server, no).await;
            // The server is killed, and verifies the file before it serves again.
            server.restart().await;
        }
        let log = server.stderr();
        let check = tools.run("check --json");
        assert_eq!(check.status.code(), Some(5), "{}", errors(&check));
        let found: Value = serde_json::from_slice(&check.stdout).expect("JSON");
        let faults = found["faults"].to_string();
        for position in positions {
            assert!(log.contains(&format!("\"position\":{position}")), "{position}: {log}");
            assert!(faults.contains(&format!("position {position}:")), "{position}: {faults}");
            tools.text(&format!("events show {position}"));
        }
        for line in ["events list", "events stats", "views status", "check --quick"] {
            let output = tools.run(line);
            let expected = if line == "check --quick" { 5 } else { 0 };
            assert_eq!(output.status.code(), Some(expected), "{line}: {}", errors(&output));
        }
    });
}
