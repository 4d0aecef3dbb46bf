//! A blocked loop is reported in its metric, in `views status` with the reason, and once in the log.

use crate::command_line::PROGRAM;
use crate::tools::{Tools, register};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, on_each_engine};
use reqwest::Client;
use serde_json::Value;
use std::time::Duration;

const VIEW: &str = "item_info_v4";
const SOON: Duration = Duration::from_secs(30);

/// Waits until the loop of the view of items and its metric are as expected, and returns the loop.
async fn await_loop(
    server: &Server,
    tools: &Tools<'_>,
    is_expected: impl Fn(&Value, f64) -> bool,
) -> Value {
    let line = format!("gdmarket_projection_blocked{{subscription=\"{VIEW}\"}} ");
    eventually(SOON, || async {
        let all = tools.json("views status");
        let found = all.into_iter().find(|of| of["name"] == VIEW).expect("the view");
        let metrics = Client::new().get(server.url("/metrics")).send().await.expect("an answer");
        let metrics = metrics.text().await.expect("text");
        let blocked = metrics.lines().find_map(|other| other.strip_prefix(&line)?.parse().ok());
        let blocked: f64 = blocked.unwrap_or(f64::NAN);
        if is_expected(&found, blocked) { Ok(found) } else { Err((found, blocked)) }
    })
    .await
}

const LEFT: &str = "left behind";

/// Writes the reason of a replica that was blocked and died.
async fn leave_reason(db: &TestDb) {
    db.views_sql(&format!(
        "INSERT INTO loop_problems (subscription, problem, since) VALUES ('{VIEW}', '{LEFT}', 1)"
    ))
    .await;
}

on_each_engine! {
    async fn blocked_loop_shows_its_reason_and_logs_it_once(db: &TestDb) {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        register(&server).await;
        await_loop(&server, &tools, |of, blocked| of["problem"].is_null() && blocked < 0.5).await;
        // An event of a newer program.
        db.log_sql(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
             payload, metadata) VALUES ('item', '1', 2, 'ItemDeleted', '99', \
             '{\"ItemDeleted\":{\"itemNo\":1}}', '{}')",
        )
        .await;
        let found = await_loop(&server, &tools, |of, blocked| {
            of["problem"].as_str().is_some_and(|why| why.contains("newer")) && blocked > 0.5
        })
        .await;
        assert!(found["blockedSince"].is_string(), "{found}");
        assert!(tools.text("views status").contains("is blocked since"), "the text for people says so");
        let log = server.stderr();
        let is_about_it = |line: &&str| line.contains("a loop is blocked") && line.contains(VIEW);
        assert_eq!(log.lines().filter(is_about_it).count(), 1, "{log}");
        assert!(!log.contains("waits for the database"), "another reason: {log}");
        db.log_sql("UPDATE events SET event_version = '1' WHERE sequence = 2").await;
        // The running server keeps the event that it has read in memory.
        server.restart().await;
        await_loop(&server, &tools, |of, blocked| {
            of["problem"].is_null() && of["lagEvents"] == 0 && blocked < 0.5
        })
        .await;
    }

    /// The other replica died, or wrote its reason after this one had started to run the loop.
    async fn reason_of_another_replica_is_cleared_once_the_loop_continues(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        register(&server).await;
        let is_free = |of: &Value, blocked: f64| {
            of["problem"].is_null() && of["lagEvents"] == 0 && of["state"] == "running" && blocked < 0.5
        };
        await_loop(&server, &tools, is_free).await;
        // A loop that is resumed is taken over.
        tools.text("views pause item-info");
        leave_reason(db).await;
        await_loop(&server, &tools, |of, _| of["state"] == "paused" && of["problem"] == LEFT).await;
        tools.text("views resume item-info");
        await_loop(&server, &tools, is_free).await;
        if db.folder().is_some() {
            // SQLite has no other replica.
            return;
        }
        leave_reason(db).await;
        await_loop(&server, &tools, is_free).await;
        let _follower = ServerOptions::new(PROGRAM).on(db).start().await;
        leave_reason(db).await;
        await_loop(&server, &tools, is_free).await;
    }
}
