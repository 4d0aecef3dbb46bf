//! Commands of operators while a server runs: show, pause, resume and rebuild views, drop parked keys.

use crate::command_line::{PROGRAM, errors};
use crate::tools::{Tools, register, write};
use gdmarket_testkit::{Server, ServerOptions, eventually, on_each_engine};
use reqwest::Client;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const VIEW: &str = "item_info_v4";
const SOON: Duration = Duration::from_secs(20);
/// How long a write waits for views that stay behind.
const VIEW_WAIT: Duration = Duration::from_millis(250);

/// Waits until the loop of the view of items is as expected, and returns it.
async fn await_loop(tools: &Tools<'_>, is_expected: impl Fn(&Value) -> bool) -> Value {
    eventually(SOON, || async {
        let all = tools.json("views status");
        let found = all.into_iter().find(|of| of["name"] == VIEW).expect("the view");
        if is_expected(&found) { Ok(found) } else { Err(found) }
    })
    .await
}

/// Waits until the metrics show the lag of a loop that no process runs.
async fn await_lag_metric(server: &Server) {
    let line = format!("gdmarket_projection_lag_events{{subscription=\"{VIEW}\"}} ");
    eventually(SOON, || async {
        let metrics = Client::new().get(server.url("/metrics")).send().await.expect("an answer");
        let metrics = metrics.text().await.expect("text");
        let lag = metrics.lines().find_map(|other| other.strip_prefix(&line));
        let lag = lag.and_then(|lag| lag.parse::<f64>().ok());
        if lag.is_some_and(|lag| lag >= 1.0) { Ok(()) } else { Err(lag) }
    })
    .await;
}

on_each_engine! {
    async fn view_is_shown_paused_resumed_and_rebuilt(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        register(&server).await;
        let running = await_loop(&tools, |of| of["lagEvents"] == 0 && of["position"] != 0).await;
        assert_eq!((&running["state"], &running["generation"]), (&json!("running"), &json!(1)));
        assert!(running["holder"].is_string(), "{running}");

        assert_eq!(tools.json("views pause item-info"), [json!({"name": VIEW, "state": "paused"})]);
        await_loop(&tools, |of| of["state"] == "paused").await;
        let started = Instant::now();
        register(&server).await;
        let waited = started.elapsed();
        assert!((VIEW_WAIT..SOON).contains(&waited), "a write waits for its views: {waited:?}");
        let held = await_loop(&tools, |of| of["lagEvents"] != 0).await;
        assert_eq!(held["position"], running["position"], "{held}");
        let item = Client::new().get(server.url("/itemInfoes/2")).send().await.expect("an answer");
        assert_eq!(item.status(), 404, "a paused view doesn't contain the item yet");
        assert!(tools.text("views status").contains("paused"));
        await_lag_metric(&server).await;

        assert_eq!(tools.json("views resume item-info"), [json!({"name": VIEW, "state": "resumed"})]);
        await_loop(&tools, |of| of["lagEvents"] == 0 && of["state"] == "running").await;
        assert_eq!(tools.json("views resume item-info"), [json!({"name": VIEW, "state": "running"})]);
        tools.text("views rebuild item-info");
        // The running loop notices the rebuild at the next event.
        register(&server).await;
        await_loop(&tools, |of| of["generation"] == 2 && of["state"] == "running").await;
        let (code, message) = tools.refused("views pause nothing");
        assert_eq!(code, Some(2), "{message}");
        assert!(message.contains("item-info"), "the message lists the views: {message}");
    }

    async fn dropped_key_keeps_its_reason(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        register(&server).await;
        write(db, 1, "Broken", "{}").await;
        register(&server).await;
        await_loop(&tools, |of| of["parked"] == 1).await;
        let shown = tools.json("parked show item_info_v4 item/1");
        assert_eq!((&shown[0]["queued"], &shown[0]["events"][0]["type"]), (&json!(1), &json!("Broken")));

        let unreasoned = tools.run("parked drop item_info_v4 item/1 --reason ");
        assert_eq!(unreasoned.status.code(), Some(2), "{}", errors(&unreasoned));
        assert_eq!(tools.run("parked drop item_info_v4 item/1").status.code(), Some(2));
        tools.text("parked drop item_info_v4 item/1 --reason beyond-repair");
        let list = tools.json("parked list");
        let of = list.iter().find(|of| of["subscription"] == VIEW).expect("a dropped key");
        assert_eq!(of["dropped"], "beyond-repair");
        assert!(tools.text("parked list").contains("dropped: beyond-repair"));
        let item = Client::new().get(server.url("/itemInfoes/1")).send().await.expect("an answer");
        let item: Value = item.json().await.expect("JSON");
        assert!(item["stale"].is_object(), "the row is still stale: {item}");
        let (code, again) = tools.refused("parked drop item-info item/1 --reason another");
        assert_eq!(code, Some(1), "{again}");
        assert!(again.contains("dropped already: beyond-repair"), "{again}");
        let kept = tools.json("parked list --dropped");
        assert_eq!((kept.len(), &kept[0]["reason"]), (1, &json!("beyond-repair")));
        let nothing = tools.refused("parked drop item_info_v4 item/9 --reason none");
        assert_eq!(nothing.0, Some(1), "{}", nothing.1);
        assert!(nothing.1.contains("parked list"), "the next step: {}", nothing.1);
    }
}
