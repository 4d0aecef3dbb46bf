//! `gdmarket replay` while a server runs: differing rows are named, only the requested action happens, and a
//! view is shown as it was at an earlier position.

use crate::command_line::{PROGRAM, errors};
use crate::tools::{Tools, register, send, write};
use gdmarket_testkit::{ServerOptions, eventually, on_each_engine};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// Runs the tool, and returns its exit code and its lines of JSON.
fn replay(tools: &Tools<'_>, line: &str) -> (Option<i32>, Vec<Value>) {
    let output = tools.run(&format!("{line} --json"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (output.status.code(), lines)
}

/// Waits until all views have applied every event.
async fn await_views(tools: &Tools<'_>) {
    eventually(SOON, || async {
        let behind: Vec<_> = tools.json("views status");
        let behind: Vec<_> = behind.into_iter().filter(|of| of["lagEvents"] != 0).collect();
        if behind.is_empty() { Ok(()) } else { Err(behind) }
    })
    .await;
}

/// The events of the first item.
fn of_item(tools: &Tools<'_>) -> Vec<Value> {
    let events = tools.json("events list --all");
    events.into_iter().filter(|event| event["stream"] == "item/1").collect()
}

on_each_engine! {
    async fn row_changed_by_hand_is_named_and_replaced(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        for _ in 0..3 {
            register(&server).await;
        }
        send(&server, Method::PATCH, "/items/2", json!({"itemName": "Tent"})).await;
        await_views(&tools).await;
        let (code, same) = replay(&tools, "replay --all --verify");
        assert_eq!((code, same.len()), (Some(0), 4), "one line per view: {same:?}");
        let names: Vec<_> = same.iter().map(|of| &of["replayed"]["view"]).collect();
        assert_eq!(names, ["item-info", "reservations", "payments", "alarms"]);
        for name in ["item_info", "item_info_v4"] {
            assert_eq!(replay(&tools, &format!("replay {name} --verify")).0, Some(0), "{name}");
        }

        db.views_sql("UPDATE view_item_info_v4 SET doc = replace(doc, 'Tent', 'Boat') WHERE no = 2")
            .await;
        let (code, lines) = replay(&tools, "replay item-info --verify");
        assert_eq!(code, Some(4));
        let [found, sum] = lines.as_slice() else { panic!("one row differs: {lines:?}") };
        let found = &found["difference"];
        assert_eq!((&found["number"], &found["columns"]), (&json!(2), &json!(["row"])));
        let explained: Vec<_> = found["events"].as_array().expect("events").iter().collect();
        let types: Vec<_> = explained.iter().map(|event| &event["type"]).collect();
        assert_eq!(types, ["ItemRegistered", "ItemChanged"]);
        assert!(explained.iter().all(|event| event["recordedAt"].is_string()), "{explained:?}");
        assert_eq!(sum["replayed"]["differing"], 1);
        let output = tools.run("replay item-info --verify");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for part in ["item-info 2 differs in row", "Boat", "ItemChanged", "1 of 3 rows differ"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("item-info 1"), "{text}");

        assert_eq!(replay(&tools, "replay item-info --promote").0, Some(0));
        assert_eq!(replay(&tools, "replay item-info --verify").0, Some(0));
    }

    async fn replay_without_an_action_or_with_contradicting_ones_is_refused(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        register(&server).await;
        let tools = Tools { db };
        await_views(&tools).await;
        let tables = db.view_tables().await;
        for (line, words) in [
            ("replay item-info", "--promote"),
            ("replay", "<VIEW>"),
            ("replay item-infos --verify", "item-info, "),
            ("replay item-info --verify --promote", "--promote"),
            ("replay item-info --to 1 --verify", "--verify"),
            ("replay item-info --to 1 --promote", "--promote"),
            ("replay item-info alarms --to 1", "one view"),
            ("replay item-info --to soon", "soon"),
        ] {
            let (code, message) = tools.refused(line);
            assert_eq!(code, Some(2), "{line}: {message}");
            assert!(message.contains(words), "{line}: {message}");
        }
        assert_eq!(db.view_tables().await, tables);
        let generation = |of: &Value| of["generation"] == 1;
        let views = tools.json("views status").into_iter().filter(|of| of["isView"] == true);
        assert!(views.clone().all(|of| generation(&of)), "{:?}", views.collect::<Vec<_>>());
    }

    /// A rebuild from a damaged log is not better than the served table.
    async fn promotion_is_not_advised_when_the_log_is_damaged(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        for _ in 0..2 {
            register(&server).await;
        }
        send(&server, Method::PATCH, "/items/2", json!({"itemName": "Tent"})).await;
        await_views(&tools).await;
        drop(server);
        db.views_sql("UPDATE view_item_info_v4 SET doc = replace(doc, 'Tent', 'Boat') WHERE no = 2")
            .await;
        let output = tools.run("replay item-info --verify");
        assert_eq!(output.status.code(), Some(4), "{}", errors(&output));
        assert!(errors(&output).contains("--promote"), "control: {}", errors(&output));
        db.log_sql("UPDATE events SET payload = '{}' WHERE event_type = 'ItemChanged'").await;
        let output = tools.run("replay item-info --verify");
        assert_eq!(output.status.code(), Some(4), "{}", errors(&output));
        assert!(!errors(&output).contains("--promote"), "{}", errors(&output));
        assert!(errors(&output).contains("gdmarket check"), "{}", errors(&output));
    }

    async fn view_is_shown_at_an_earlier_position(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        register(&server).await;
        await_views(&tools).await;
        let then = of_item(&tools)[0]["position"].clone();
        send(&server, Method::PATCH, "/items/1", json!({"itemName": "Tent"})).await;
        let changed = of_item(&tools)[1].clone();
        let names = |line: &str| {
            tools.json(line).iter().map(|row| row["itemName"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&format!("replay item-info --to {then}")), ["Camera"]);
        assert_eq!(names(&format!("replay item-info --to {}", changed["position"])), ["Tent"]);
        let time = changed["recordedAt"].as_str().expect("a time");
        assert_eq!(names(&format!("replay item-info --to {time}")), ["Tent"]);
        assert_eq!(names("replay item-info --to 2001-01-01T00:00:00Z"), Vec::<Value>::new());
        let output = tools.run(&format!("replay item-info --to {then}"));
        assert!(!errors(&output).contains("null"), "{}", errors(&output));
    }

    async fn view_that_is_not_built_is_never_reported_as_equal(db: &TestDb) {
        let tools = Tools { db };
        tools.run("migrate");
        let states: Vec<_> = tools.json("views status").iter().map(|of| of["state"].clone()).collect();
        assert_eq!(states, ["not-built"; 4]);
        let (code, lines) = replay(&tools, "replay --all --verify");
        assert_eq!((code, lines.len()), (Some(1), 4), "{lines:?}");
        let output = tools.run("replay item-info --verify");
        assert!(errors(&output).contains("nothing is served yet"), "{}", errors(&output));
        assert_eq!(replay(&tools, "replay --all --promote").0, Some(0));
        assert_eq!(replay(&tools, "replay --all --verify").0, Some(0));
    }

    async fn stale_row_is_reported(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        register(&server).await;
        write(db, 1, "Broken", "{}").await;
        register(&server).await;
        await_views(&tools).await;
        let last = &tools.json("events tail -n 1")[0]["position"];
        let rows = tools.json(&format!("replay item-info --to {last}"));
        let reason = rows[0]["stale"]["reason"].as_str().expect("a reason");
        assert!(reason.contains("Broken") && rows[0]["stale"]["since"].is_string(), "{rows:?}");
        assert!(rows[1].get("stale").is_none(), "{rows:?}");
        let (code, lines) = replay(&tools, "replay item-info --verify");
        assert_eq!((code, &lines[0]["replayed"]["stale"]), (Some(0), &json!(1)), "{lines:?}");
        let output = tools.run("replay item-info --verify");
        assert!(errors(&output).contains("gdmarket parked list"), "{}", errors(&output));
    }

    async fn event_of_a_newer_program_exits_with_5(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        register(&server).await;
        await_views(&tools).await;
        write(db, 1, "ItemChanged", "{}").await;
        db.log_sql("UPDATE events SET event_version = '99' WHERE event_type = 'ItemChanged'").await;
        let newer = &of_item(&tools)[1]["position"];
        let (code, message) = tools.refused(&format!("replay item-info --to {newer}"));
        assert_eq!(code, Some(5), "{message}");
        assert!(message.contains("newer"), "{message}");
    }
}

on_each_engine! {
    async fn difference_caused_by_a_damaged_log_is_reported_as_damage(db: &TestDb) {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        for _ in 0..2 {
            register(&server).await;
        }
        send(&server, Method::PATCH, "/items/2", json!({"itemName": "Tent"})).await;
        await_views(&tools).await;
        server.terminate().await;
        server.wait(SOON).await;
        let damaged = "{\"ItemChanged\":{\"itemNo\":\"?\"}}";
        let row = "aggregate_type = 'item' AND aggregate_id = '2' AND sequence = 2";
        db.log_sql(&format!("UPDATE events SET payload = '{damaged}' WHERE {row}")).await;
        let output = tools.run("replay item-info --verify");
        let message = errors(&output);
        assert_eq!(output.status.code(), Some(4), "{message}");
        assert!(message.contains("the log is damaged") && message.contains("gdmarket check"), "{message}");
        assert!(!message.contains("--promote"), "the served row is the better one: {message}");
    }
}
