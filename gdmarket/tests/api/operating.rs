//! What operators do beside a running server: look at views, hold them up, give up what can't go on.

use crate::command_line::{PROGRAM, errors};
use crate::tools::{Tools, register, write};
use gdmarket_testkit::{Server, ServerOptions, eventually, on_each_engine};
use reqwest::Client;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const VIEW: &str = "item_info_v4";
const SOON: Duration = Duration::from_secs(20);
/// How long an ordinary write waits for views that don't come.
const A_MOMENT: Duration = Duration::from_millis(250);

/// The loop of the view of items, once it is as it should be.
async fn comes_to(tools: &Tools<'_>, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(SOON, || async {
        let all = tools.json("views status");
        let found = all.into_iter().find(|of| of["name"] == VIEW).expect("the view");
        if is_so(&found) { Ok(found) } else { Err(found) }
    })
    .await
}

/// Nobody runs the loop: its lag is told all the same, or nobody hears of it.
async fn falls_behind_in_the_figures(server: &Server) {
    let line = format!("gdmarket_projection_lag_events{{subscription=\"{VIEW}\"}} ");
    eventually(SOON, || async {
        let figures = Client::new().get(server.url("/metrics")).send().await.expect("an answer");
        let figures = figures.text().await.expect("text");
        let lag = figures.lines().find_map(|other| other.strip_prefix(&line));
        let lag = lag.and_then(|lag| lag.parse::<f64>().ok());
        if lag.is_some_and(|lag| lag >= 1.0) { Ok(()) } else { Err(lag) }
    })
    .await;
}

on_each_engine! {
    async fn a_view_is_looked_at_held_up_and_built_anew(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        register(&server).await;
        let running = comes_to(&tools, |of| of["lagEvents"] == 0 && of["position"] != 0).await;
        assert_eq!((&running["state"], &running["generation"]), (&json!("running"), &json!(1)));
        assert!(running["holder"].is_string(), "{running}");

        assert_eq!(tools.json("views pause item-info"), [json!({"name": VIEW, "state": "paused"})]);
        comes_to(&tools, |of| of["state"] == "paused").await;
        let began = Instant::now();
        register(&server).await;
        let waited = began.elapsed();
        assert!((A_MOMENT..SOON).contains(&waited), "a write waits for its views: {waited:?}");
        let held = comes_to(&tools, |of| of["lagEvents"] != 0).await;
        assert_eq!(held["position"], running["position"], "{held}");
        let item = Client::new().get(server.url("/itemInfoes/2")).send().await.expect("an answer");
        assert_eq!(item.status(), 404, "a view that is held up doesn't know it yet");
        assert!(tools.text("views status").contains("paused"));
        falls_behind_in_the_figures(&server).await;

        assert_eq!(tools.json("views resume item-info"), [json!({"name": VIEW, "state": "resumed"})]);
        comes_to(&tools, |of| of["lagEvents"] == 0 && of["state"] == "running").await;
        assert_eq!(tools.json("views resume item-info"), [json!({"name": VIEW, "state": "running"})]);
        tools.text("views rebuild item-info");
        // Its runner hears of it with the next event.
        register(&server).await;
        comes_to(&tools, |of| of["generation"] == 2 && of["state"] == "running").await;
        let (code, told) = tools.refused("views pause nothing");
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains("item-info"), "it says what there is: {told}");
    }

    async fn what_is_given_up_keeps_the_reason(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        register(&server).await;
        write(db, 1, "Broken", "{}").await;
        register(&server).await;
        comes_to(&tools, |of| of["parked"] == 1).await;
        let shown = tools.json("parked show item_info_v4 item/1");
        assert_eq!((&shown[0]["queued"], &shown[0]["events"][0]["type"]), (&json!(1), &json!("Broken")));

        let silent = tools.run("parked drop item_info_v4 item/1 --reason ");
        assert_eq!(silent.status.code(), Some(2), "{}", errors(&silent));
        assert_eq!(tools.run("parked drop item_info_v4 item/1").status.code(), Some(2));
        tools.text("parked drop item_info_v4 item/1 --reason beyond-repair");
        let list = tools.json("parked list");
        let of = list.iter().find(|of| of["subscription"] == VIEW).expect("it is kept");
        assert_eq!(of["dropped"], "beyond-repair");
        assert!(tools.text("parked list").contains("given up: beyond-repair"));
        let item = Client::new().get(server.url("/itemInfoes/1")).send().await.expect("an answer");
        let item: Value = item.json().await.expect("JSON");
        assert!(item["stale"].is_object(), "the row still says so: {item}");
        let (code, again) = tools.refused("parked drop item-info item/1 --reason another");
        assert_eq!(code, Some(1), "{again}");
        assert!(again.contains("given up already: beyond-repair"), "{again}");
        let kept = tools.json("parked list --dropped");
        assert_eq!((kept.len(), &kept[0]["reason"]), (1, &json!("beyond-repair")));
        let nothing = tools.refused("parked drop item_info_v4 item/9 --reason none");
        assert_eq!(nothing.0, Some(1), "{}", nothing.1);
        assert!(nothing.1.contains("parked list"), "the next step: {}", nothing.1);
    }
}
