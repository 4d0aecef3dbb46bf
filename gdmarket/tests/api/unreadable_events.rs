//! Unreadable events in the log of a running server: their streams park with the reason, all others
//! continue, nothing is retried in a loop, and after a repair the streams catch up, also across a restart.

use crate::command_line::{PROGRAM, errors};
use crate::tools::{Tools, register, write};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, on_each_engine};
use reqwest::Client;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const VIEW: &str = "item_info_v4";
const SOON: Duration = Duration::from_secs(20);

/// An item as the view shows it, or the problem.
async fn shown(server: &Server, no: i64) -> Value {
    let answer = Client::new().get(server.url(&format!("/itemInfoes/{no}"))).send().await;
    answer.expect("an answer").json().await.expect("JSON")
}

async fn await_name(server: &Server, no: i64, name: &str) {
    eventually(SOON, || async {
        let item = shown(server, no).await;
        if item["itemName"] == name && item["stale"].is_null() { Ok(()) } else { Err(item) }
    })
    .await;
}

async fn await_alarm(server: &Server, no: i64) {
    eventually(SOON, || async {
        let item = shown(server, no).await;
        if item["alarmStatus"] == "Alerted" { Ok(()) } else { Err(item) }
    })
    .await;
}

/// The parked keys of a view with their rows.
fn parked(tools: &Tools<'_>, view: &str) -> Vec<(String, Value)> {
    let mut all: Vec<_> = tools
        .json("parked list")
        .into_iter()
        .filter(|of| of["subscription"] == view)
        .map(|of| (of["key"].as_str().expect("a key").to_owned(), of))
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// Waits until exactly these keys of a view are parked.
async fn await_parked(tools: &Tools<'_>, view: &str, keys: &[&str]) -> Vec<(String, Value)> {
    eventually(SOON, || async {
        let parked = parked(tools, view);
        let is_all = parked.iter().map(|(key, _)| key.as_str()).eq(keys.iter().copied());
        if is_all { Ok(parked) } else { Err(parked) }
    })
    .await
}

/// Replaces the unreadable event of an item by a readable one.
async fn repair(db: &TestDb, no: i64) {
    let payload = renamed(no, "Repaired");
    db.log_sql(&format!(
        "UPDATE events SET event_type = 'ItemChanged', payload = '{payload}' \
         WHERE aggregate_type = 'item' AND aggregate_id = '{no}' AND sequence = 2"
    ))
    .await;
}

fn renamed(no: i64, name: &str) -> String {
    json!({"ItemChanged": {"itemNo": no, "itemName": name, "itemPrice": 7}}).to_string()
}

/// Asserts that the metrics show the one parked key, and no other trouble.
async fn assert_parked_in_metrics(server: &Server) {
    let metrics = Client::new().get(server.url("/metrics")).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    let value = |line: &str| {
        let found = metrics.lines().find_map(|other| other.strip_prefix(line));
        found.and_then(|value| value.trim().parse::<f64>().ok())
    };
    let of = |metric: &str| {
        value(&format!("gdmarket_projection_{metric}{{subscription=\"alarms_v2\"}}"))
    };
    assert_eq!((of("parked"), of("blocked")), (Some(1.0), Some(0.0)), "{metrics}");
    let parked = "gdmarket_manager_parked_total{manager=\"holding\"} ";
    for never in [parked, "gdmarket_append_connections_lost_total ", "gdmarket_http_shed_total "] {
        assert_eq!(value(never), Some(0.0), "{never}: {metrics}");
    }
    assert!(of("lag_events").is_some() && of("lag_seconds").is_some(), "{metrics}");
    assert!(value("gdmarket_append_events_total").is_some_and(|events| events >= 6.0), "{metrics}");
    for batches in ["gdmarket_append_batch_commands_count", "gdmarket_append_batch_seconds_count"] {
        assert!(value(batches).is_some_and(|count| count >= 1.0), "{batches}: {metrics}");
    }
}

on_each_engine! {
    async fn unreadable_streams_park_alone_and_catch_up_after_a_repair(db: &TestDb) {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        for _ in 0..3 {
            register(&server).await;
        }
        let mut durations = Vec::new();
        for (no, event_type, payload) in [
            (1, "ItemTeleported", "{\"ItemTeleported\":{}}".to_owned()),
            (2, "ItemChanged", "{\"ItemChanged\":{\"itemNo\":\"two\"}}".to_owned()),
            (3, "ItemChanged", renamed(3, &"x".repeat(2 * 1024 * 1024))),
        ] {
            write(db, no, event_type, &payload).await;
            let started = Instant::now();
            register(&server).await;
            await_name(&server, no + 3, "Camera").await;
            durations.push(started.elapsed());
        }
        // Not all three, since the machine may be busy.
        let quickest = durations.iter().min().expect("three");
        assert!(*quickest < Duration::from_secs(1), "the other streams waited: {durations:?}");
        let found = await_parked(&tools, VIEW, &["item/1", "item/2", "item/3"]).await;
        for ((key, of), reason) in found.iter().zip(["ItemTeleported", "can't be read", "1048576"]) {
            assert!(of["reason"].as_str().is_some_and(|why| why.contains(reason)), "{key}: {of}");
        }
        assert_eq!(shown(&server, 2).await["itemName"], "Camera", "the row before the unreadable event");

        // Other streams continue, and these are not retried.
        register(&server).await;
        await_name(&server, 7, "Camera").await;
        for (key, of) in parked(&tools, VIEW) {
            assert_eq!(of["attempts"], 1, "{key}: {of}");
        }
        let again = tools.run("parked retry item_info_v4 item/2");
        assert_eq!(again.status.code(), Some(1), "{}", errors(&again));
        assert!(errors(&again).contains("stopped again"), "{}", errors(&again));

        repair(db, 1).await;
        tools.text("parked retry item_info_v4 item/1");
        await_name(&server, 1, "Repaired").await;
        await_parked(&tools, VIEW, &["item/2", "item/3"]).await;

        // A start retries them once, and they park again.
        server.restart().await;
        eventually(SOON, || async {
            let tried: Vec<_> = parked(&tools, VIEW).into_iter().map(|(_, of)| of).collect();
            let attempts: Vec<_> = tried.iter().map(|of| of["attempts"].clone()).collect();
            if attempts == [3, 2] { Ok(()) } else { Err(tried) }
        })
        .await;
        repair(db, 2).await;
        repair(db, 3).await;
        tools.text("parked retry --all");
        for no in [1, 2, 3] {
            await_name(&server, no, "Repaired").await;
        }
        await_parked(&tools, VIEW, &[]).await;
        register(&server).await;
        await_name(&server, 8, "Camera").await;
        tools.text("replay item-info --verify");
    }

    async fn panicking_projector_parks_the_stream_and_continues(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db);
        // It panics once, on the second event that it applies.
        let faulty = "projection.fold@alarms=1*off->1*panic(a fault)->off";
        let server = server.variable("FAILPOINTS", faulty).start().await;
        let tools = Tools { db };
        for _ in 0..3 {
            register(&server).await;
        }
        await_alarm(&server, 1).await;
        await_alarm(&server, 3).await;
        let found = await_parked(&tools, "alarms_v2", &["alarm/2"]).await;
        assert!(found[0].1["reason"].as_str().is_some_and(|why| why.contains("broke down")));
        assert_eq!(found[0].1["attempts"], 1);
        let item = shown(&server, 2).await;
        assert_eq!((&item["itemName"], &item["alarmStatus"]), (&json!("Camera"), &Value::Null));
        let why = &item["stale"]["reason"];
        assert!(why.as_str().is_some_and(|why| why.contains("broke down")), "{item}");
        assert_parked_in_metrics(&server).await;
        tools.text("parked retry alarms_v2 alarm/2");
        await_alarm(&server, 2).await;
        await_parked(&tools, "alarms_v2", &[]).await;
        tools.text("replay --all --verify");
    }

    async fn stream_parked_by_a_panic_stays_parked_until_a_fixed_program_starts(db: &TestDb) {
        let options = ServerOptions::new(PROGRAM).on(db);
        let tools = Tools { db };
        // The first run panics on the second event, the second run on the retry at its start.
        for (attempts, faulty) in [(1, "1*off->1*panic(a fault)->off"), (2, "1*panic(a fault)->off")] {
            let faulty = format!("projection.fold@alarms={faulty}");
            let mut server = options.clone().variable("FAILPOINTS", &faulty).start().await;
            if attempts == 1 {
                register(&server).await;
                register(&server).await;
            }
            eventually(SOON, || async {
                let parked = parked(&tools, "alarms_v2");
                let tried = parked.iter().map(|(key, of)| (key.as_str(), of["attempts"].clone()));
                if tried.eq([("alarm/2", json!(attempts))]) { Ok(()) } else { Err(parked) }
            })
            .await;
            register(&server).await;
            await_alarm(&server, 2 + attempts).await;
            server.terminate().await;
            assert_eq!(server.wait(SOON).await.code(), Some(0), "{}", server.stderr());
        }
        let server = options.start().await;
        await_alarm(&server, 2).await;
        await_parked(&tools, "alarms_v2", &[]).await;
        tools.text("replay --all --verify");
    }
}
