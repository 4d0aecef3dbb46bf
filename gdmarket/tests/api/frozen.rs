//! Snapshots of the names and shapes that callers, operators and stored data depend on. A difference is a
//! change of the interface: either intended, and in the changelog, or a fault. The snapshots of events, errors
//! and HTTP are `domain/tests/snapshots`, `projections/tests/golden` and `docs/openapi.json`.

use crate::command_line::{PROGRAM, errors, folder, run};
use crate::tools::{Tools, send};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, on_each_engine};
use insta::{assert_json_snapshot, assert_snapshot};
use reqwest::{Client, Method};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn settings_keep_their_keys_and_defaults() {
    let settings = printed(&["config", "show", "--json"]);
    assert_json_snapshot!("settings", serde_json::from_str::<Value>(&settings).expect("JSON"));
}

#[test]
fn commands_keep_their_flags_and_exit_codes() {
    let script = printed(&["completions", "fish"]);
    let mut flags = BTreeSet::new();
    let help = "using_subcommand help;";
    for line in script.lines().filter(|line| line.starts_with("complete ") && !line.contains(help))
    {
        // Descriptions may change; options, values and subcommands may not.
        let line = line.split(" -d '").next().unwrap_or(line);
        flags.insert(line.replace("__fish_gdmarket_", "").replace("complete -c gdmarket ", ""));
    }
    assert_snapshot!("flags", flags.into_iter().collect::<Vec<_>>().join("\n"));
    let help = printed(&["--help"]);
    let (_, codes) = help.split_once("Exit codes:").expect("exit codes");
    assert_snapshot!("exit_codes", codes);
}

fn printed(arguments: &[&str]) -> String {
    let folder = folder();
    let output = run(folder.path(), arguments, &[]);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", errors(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// Metrics that every server has from its start; others appear with their first event.
const METRICS: [&str; 28] = [
    "gdmarket_aggregate_cache_total counter",
    "gdmarket_append_batch_commands histogram",
    "gdmarket_append_batch_seconds histogram",
    "gdmarket_append_connections_lost_total counter",
    "gdmarket_append_contended_batches_total counter",
    "gdmarket_append_events_total counter",
    "gdmarket_append_queue_commands gauge",
    "gdmarket_breaker_state gauge",
    "gdmarket_build_info gauge",
    "gdmarket_commands_total counter",
    "gdmarket_event_streams_refused_total counter",
    "gdmarket_http_connections_open gauge",
    "gdmarket_http_request_duration_seconds histogram",
    "gdmarket_http_requests_total counter",
    "gdmarket_http_requests_in_flight gauge",
    "gdmarket_http_requests_waiting gauge",
    "gdmarket_http_shed_total counter",
    "gdmarket_http_streams_reset_total counter",
    "gdmarket_http_waits_refused_total counter",
    "gdmarket_manager_parked_total counter",
    "gdmarket_payment_contradictions_total counter",
    "gdmarket_payment_mismatches_total counter",
    "gdmarket_payment_refunds_refused_total counter",
    "gdmarket_projection_blocked gauge",
    "gdmarket_projection_lag_events gauge",
    "gdmarket_projection_lag_seconds gauge",
    "gdmarket_projection_parked gauge",
    "gdmarket_projection_parked_position gauge",
];

/// A market with one rental that is paid and lent.
async fn market(db: &TestDb) -> Server {
    let server = ServerOptions::new(PROGRAM).on(db).start().await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100, "ownerId": 7});
    send(&server, Method::POST, "/items", camera).await;
    let reservation = json!({"itemNo": 1, "customerId": 1});
    send(&server, Method::POST, "/reservations", reservation).await;
    send(&server, Method::POST, "/reservations/1/payment", json!({})).await;
    // The payment may be answered before its outcome is known.
    await_reservation(&server, "paymentStatus", "Paid").await;
    send(&server, Method::POST, "/items/1/lend", json!({})).await;
    // The last reaction: from here on nothing is appended.
    await_reservation(&server, "rentalStatus", "Renting").await;
    server
}

async fn await_reservation(server: &Server, field: &str, value: &str) {
    eventually(Duration::from_secs(30), || async {
        let answer = Client::new().get(server.url("/reservations/1")).send().await;
        let body: Value = answer.map_err(|error| error.to_string())?.json().await.expect("JSON");
        if body[field] == value { Ok(()) } else { Err(body.to_string()) }
    })
    .await;
}

on_each_engine! {
    async fn tools_keep_the_shape_of_their_json(db: &TestDb) {
        let mut server = market(db).await;
        let mut shapes = Map::new();
        let tools = Tools { db };
        let lines = [
            "events list --all", "events show 1", "events stats", "state item 1", "state reservation 1",
            "state payment 1", "state alarm 1", "trace reservation 1", "views status", "check",
            "replay item-info --verify", "replay item-info --to 2",
        ];
        for line in lines {
            shapes.insert(line.to_owned(), shape_of_lines(&tools.json(line)));
        }
        // Only PostgreSQL has schemas.
        let migrated = shape_of_lines(&tools.json("migrate"));
        let name = if db.folder().is_some() { "migrated_sqlite" } else { "migrated_postgres" };
        assert_json_snapshot!(name, migrated);
        server.kill().await;
        assert_json_snapshot!("json_of_tools", shapes);
    }

    async fn views_managers_and_metrics_keep_their_names(db: &TestDb) {
        let server = market(db).await;
        let followers = Tools { db }.json("views status");
        let followers: Vec<&Value> = followers.iter().map(|follower| &follower["name"]).collect();
        assert_json_snapshot!("followers", followers);
        let mut tables = db.view_tables().await;
        tables.sort();
        assert_json_snapshot!("view_tables", tables);
        let engine = if db.folder().is_some() { "columns_sqlite" } else { "columns_postgres" };
        assert_snapshot!(engine, db.columns().await.join("\n"));
        let metrics = Client::new().get(server.url("/metrics")).send().await.expect("metrics");
        let metrics = metrics.text().await.expect("text");
        for metric in METRICS {
            assert!(metrics.contains(&format!("# TYPE {metric}\n")), "{metric} is gone");
        }
    }
}

/// The union of the shapes of all lines.
pub(crate) fn shape_of_lines(lines: &[Value]) -> Value {
    let mut shape = Value::Null;
    for line in lines {
        shape = merged(shape, shape_of(line));
    }
    shape
}

/// The value with each scalar replaced by the name of its type.
fn shape_of(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("boolean"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(all) => json!([shape_of_lines(all)]),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), shape_of(value)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

fn merged(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Null, only) | (only, Value::Null) => only,
        (Value::Object(mut fields), Value::Object(more)) => {
            for (name, value) in more {
                let known = fields.remove(&name).unwrap_or_default();
                fields.insert(name, merged(known, value));
            }
            fields.into()
        }
        (Value::Array(mut one), Value::Array(mut other)) => {
            json!([merged(one.pop().unwrap_or_default(), other.pop().unwrap_or_default())])
        }
        (Value::String(one), Value::String(other)) => {
            let types: BTreeSet<&str> = one.split(" or ").chain(other.split(" or ")).collect();
            json!(types.into_iter().collect::<Vec<_>>().join(" or "))
        }
        (one, other) => {
            if one == other {
                one
            } else {
                json!([one, other])
            }
        }
    }
}
