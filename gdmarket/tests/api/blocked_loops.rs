//! A loop that is blocked says so, everywhere and not too often: in its metric, in `views status` with the
//! reason, and in the log once.

use crate::command_line::PROGRAM;
use crate::tools::{Tools, register};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, on_each_engine};
use reqwest::Client;
use serde_json::Value;
use std::time::Duration;

const VIEW: &str = "item_info_v4";
const SOON: Duration = Duration::from_secs(30);

/// The loop of the view of items and its metric, once they are as they should be.
async fn comes_to(
    server: &Server,
    tools: &Tools<'_>,
    is_so: impl Fn(&Value, f64) -> bool,
) -> Value {
    let line = format!("gdmarket_projection_stuck{{subscription=\"{VIEW}\"}} ");
    eventually(SOON, || async {
        let all = tools.json("views status");
        let found = all.into_iter().find(|of| of["name"] == VIEW).expect("the view");
        let figures = Client::new().get(server.url("/metrics")).send().await.expect("an answer");
        let figures = figures.text().await.expect("text");
        let stuck = figures.lines().find_map(|other| other.strip_prefix(&line)?.parse().ok());
        let stuck: f64 = stuck.unwrap_or(f64::NAN);
        if is_so(&found, stuck) { Ok(found) } else { Err((found, stuck)) }
    })
    .await
}

const LEFT: &str = "left behind";

/// As a replica leaves it that is blocked and dies.
async fn leave_a_reason(db: &TestDb) {
    db.views_sql(&format!(
        "INSERT INTO loop_problems (subscription, problem, since) VALUES ('{VIEW}', '{LEFT}', 1)"
    ))
    .await;
}

on_each_engine! {
    async fn a_blocked_loop_shows_why_and_logs_it_once(db: &TestDb) {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        register(&server).await;
        comes_to(&server, &tools, |of, stuck| of["problem"].is_null() && stuck < 0.5).await;
        // As a newer program writes it.
        db.log_sql(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
             payload, metadata) VALUES ('item', '1', 2, 'ItemDeleted', '99', \
             '{\"ItemDeleted\":{\"itemNo\":1}}', '{}')",
        )
        .await;
        let blocked = comes_to(&server, &tools, |of, stuck| {
            of["problem"].as_str().is_some_and(|why| why.contains("newer")) && stuck > 0.5
        })
        .await;
        assert!(blocked["blockedSince"].is_string(), "{blocked}");
        assert!(tools.text("views status").contains("is blocked since"), "people see it too");
        let log = server.stderr();
        let of_it = |line: &&str| line.contains("a loop is blocked") && line.contains(VIEW);
        assert_eq!(log.lines().filter(of_it).count(), 1, "{log}");
        assert!(!log.contains("waits for the database"), "that isn't the reason: {log}");
        db.log_sql("UPDATE events SET event_version = '1' WHERE sequence = 2").await;
        // What the running server has read stays in its memory.
        server.restart().await;
        comes_to(&server, &tools, |of, stuck| {
            of["problem"].is_null() && of["lagEvents"] == 0 && stuck < 0.5
        })
        .await;
    }

    /// The reason is another replica's, which died, or wrote it down after this one had begun to run the
    /// loop.
    async fn a_reason_of_another_replica_is_cleared_once_the_loop_gets_on(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        register(&server).await;
        let is_free = |of: &Value, stuck: f64| {
            of["problem"].is_null() && of["lagEvents"] == 0 && of["state"] == "running" && stuck < 0.5
        };
        comes_to(&server, &tools, is_free).await;
        // It takes the loop over.
        tools.text("views pause item-info");
        leave_a_reason(db).await;
        comes_to(&server, &tools, |of, _| of["state"] == "paused" && of["problem"] == LEFT).await;
        tools.text("views resume item-info");
        comes_to(&server, &tools, is_free).await;
        if db.folder().is_some() {
            // No other replica can write one.
            return;
        }
        leave_a_reason(db).await;
        comes_to(&server, &tools, is_free).await;
        let _follower = ServerOptions::new(PROGRAM).on(db).start().await;
        leave_a_reason(db).await;
        comes_to(&server, &tools, is_free).await;
    }
}
