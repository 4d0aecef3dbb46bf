//! The tools that inspect a log while a server runs: events, states and traces, as text and as JSON, with
//! their exit codes.

use crate::command_line::{PROGRAM, errors, folder, run};
use crate::tools::{Tools, send};
use gdmarket_testkit::{Server, ServerOptions, TestDb, on_each_engine};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// A camera of owner 7, reserved by renter 1 and paid; and a second camera.
async fn market(db: &TestDb) -> Server {
    let server = ServerOptions::new(PROGRAM).on(db).start().await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100, "ownerId": 7});
    send(&server, Method::POST, "/items", camera.clone()).await;
    let body = json!({"itemNo": 1, "customerId": 1});
    send(&server, Method::POST, "/reservations", body).await;
    send(&server, Method::POST, "/reservations/1/payment", json!({})).await;
    // Paying returns before the lending is authorised; lending waits for the authorisation.
    send(&server, Method::POST, "/items/1/lend", json!({})).await;
    send(&server, Method::POST, "/items", camera).await;
    server
}

fn positions(events: &[Value]) -> Vec<i64> {
    events.iter().map(|event| event["position"].as_i64().expect("a position")).collect()
}

on_each_engine! {
    async fn pages_of_events_add_up_to_the_whole_log(db: &TestDb) {
        let _server = market(db).await;
        let tools = Tools { db };
        let all = tools.json("events list --all");
        assert_eq!(all.len(), tools.text("events list --all").lines().count());
        let mut paged = vec![];
        loop {
            let after = positions(&paged).last().copied().unwrap_or(0);
            let page = tools.json(&format!("events list --limit 4 --after {after}"));
            assert!(page.len() <= 4);
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, all);
        let newest = tools.json("events tail -n 3");
        assert_eq!(newest, all[all.len() - 3..]);
        let of_item = tools.json("events list --item 1");
        assert!(of_item.len() >= 4 && of_item.iter().all(|event| event["stream"] == "item/1"));
        assert_eq!(tools.json("events list --aggregate item/1"), of_item);
        let held = tools.json("events list --actor process:holding --type ItemHeld");
        assert_eq!(held.len(), 1);
        let until = format!("events list --until {}", held[0]["recordedAt"].as_str().expect("a time"));
        assert!(positions(&tools.json(&until)).contains(&positions(&held)[0]));
        let stats = tools.json("events stats").remove(0);
        assert_eq!(stats["events"], all.len());
        assert_eq!(stats["head"], all[all.len() - 1]["position"]);
        let none = tools.run("events list --item 99");
        assert_eq!((none.status.code(), errors(&none).contains("No event matches")), (Some(0), true));
        let unknown = tools.run("events list --type ItemHold");
        assert_eq!(unknown.status.code(), Some(0));
        assert!(errors(&unknown).contains("knows no type \"ItemHold\"; there are"), "{}", errors(&unknown));
        let first_page = tools.run("events list --limit 2");
        assert!(errors(&first_page).contains(&format!("--after {}", positions(&all)[1])));
        let last_page = tools.run(&format!("events list --item 1 --limit {}", of_item.len()));
        assert_eq!(errors(&last_page), "", "nothing follows");
        for (line, message) in [("--type ItemHold", "knows no type"), ("--item 99", "No event matches")] {
            let empty = tools.run(&format!("events tail {line}"));
            assert!(errors(&empty).contains(message), "{line}: {}", errors(&empty));
        }
        // The time that the text shows selects the same event.
        let text = tools.text("events list --type ItemHeld");
        let time = text.split_whitespace().nth(1).expect("a time");
        assert_eq!(tools.json(&format!("events tail -n 1 --until {time}")), held);
    }

    async fn event_is_shown_with_its_cause_and_its_metadata(db: &TestDb) {
        let _server = market(db).await;
        let tools = Tools { db };
        let held = tools.json("events list --type ItemHeld").remove(0);
        let line = format!("events show {}", held["position"]);
        let shown = tools.json(&line).remove(0);
        assert_eq!(shown["cause"]["type"], "ReservationRequested");
        assert_eq!(shown["cause"]["position"], held["causedBy"]);
        assert_eq!(shown["metadata"]["commandId"], held["commandId"]);
        assert_eq!(shown["unreadable"], Value::Null);
        let text = tools.text(&line);
        for part in ["item/1 #2", "process:holding", "reservation/1 #1", "traceparent"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        let (code, message) = tools.refused("events show 4711");
        assert_eq!((code, message.contains("no event at position 4711")), (Some(1), true), "{message}");
    }

    async fn state_is_shown_at_an_earlier_position(db: &TestDb) {
        let server = market(db).await;
        let tools = Tools { db };
        let change = json!({"itemPrice": 250});
        send(&server, Method::PATCH, "/items/1", change).await;
        let price = |state: &Value| state["state"]["listing"]["Registered"]["itemPrice"].clone();
        let now = tools.json("state item 1").remove(0);
        assert_eq!(price(&now), 250);
        let changed = tools.json("events list --item 1 --type ItemChanged").remove(0);
        let before = positions(std::slice::from_ref(&changed))[0] - 1;
        let then = tools.json(&format!("state item 1 --at {before} --events 1")).remove(0);
        assert_eq!(price(&then), 100);
        assert_eq!(then["version"], now["version"].as_i64().expect("a version") - 1);
        assert_eq!(then["events"].as_array().map(Vec::len), Some(1));
        assert_eq!(then["earlierEvents"], then["version"].as_i64().expect("a version") - 1);
        assert!(tools.text("state payment 1").contains("\"Approved\""));
        assert!(tools.text("state alarm 1").starts_with("alarm/1 at version 1\n\"Alerted\"\n"));
        let (code, message) = tools.refused("state reservation 99");
        assert_eq!((code, message.contains("there is no reservation/99")), (Some(1), true), "{message}");
        let (code, message) = tools.refused("state item 2 --at 1");
        assert_eq!((code, message.contains("no item/2 at position 1")), (Some(1), true), "{message}");
        assert_eq!(tools.refused("state item 1 --at 4711").0, Some(2));
        assert_eq!(tools.refused("state hold 1").0, Some(2));
    }

    async fn trace_is_the_same_over_http_and_on_the_command_line(db: &TestDb) {
        let server = market(db).await;
        let tools = Tools { db };
        let trace = tools.json("trace reservation 1").remove(0);
        let call = Client::new().get(server.url("/reservations/1/trace")).send();
        let body = call.await.expect("an answer").text().await.expect("a body");
        assert_eq!(trace, serde_json::from_str::<Value>(&body).expect("JSON"));
        let id = trace["events"][0]["correlationId"].as_str().expect("an id").to_owned();
        let by_id = tools.json(&format!("trace {id}")).remove(0);
        assert_eq!(by_id["events"][0], trace["events"][0]);
        assert_eq!(by_id["events"].as_array().map(Vec::len), Some(1));
        let text = tools.text("trace reservation 1");
        assert!(text.contains("└─ process:holding +"), "{text}");
        assert!(tools.text("trace reservation 1 --format mermaid").starts_with("flowchart TD\n"));
        assert!(tools.text("trace reservation 1 --format dot").starts_with("digraph trace {\n"));
        let (code, message) = tools.refused("trace reservation 1 --format dot --json");
        assert_eq!((code, message.contains("contradict")), (Some(2), true), "{message}");
        let (code, message) = tools.refused("trace reservation 99");
        assert_eq!((code, message.contains("there is no reservation/99")), (Some(1), true), "{message}");
        let unknown = "trace 00000000-0000-4000-8000-000000000000";
        assert_eq!(tools.refused(unknown).0, Some(1));
        for wrong in ["trace reservation", "trace item 1", &format!("trace {id} 1")] {
            assert_eq!(tools.refused(wrong).0, Some(2), "{wrong}");
        }
    }

    async fn follower_shows_new_events_until_ctrl_c(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        let mut command = tokio::process::Command::new(PROGRAM);
        command.args(["events", "tail", "--follow", "-n", "0", "--json", "--type", "ItemRegistered"]);
        let folder = folder();
        command.args(tools.place()).current_dir(folder.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the program runs");
        let mut lines = BufReader::new(child.stdout.take().expect("its stdout")).lines();
        let camera = json!({"itemName": "Camera", "itemPrice": 100});
        let mut seen = None;
        // Registers items until one is seen, since the follower doesn't report its start.
        for _ in 0..200 {
            send(&server, Method::POST, "/items", camera.clone()).await;
            let line = tokio::time::timeout(Duration::from_millis(200), lines.next_line()).await;
            if let Ok(line) = line {
                seen = line.expect("a line");
                break;
            }
        }
        let seen: Value = serde_json::from_str(&seen.expect("a line")).expect("JSON");
        assert_eq!(seen["type"], "ItemRegistered");
        let pid = child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-s", "INT", &pid]).status().expect("kill").success());
        let ended = tokio::time::timeout(Duration::from_secs(20), child.wait()).await;
        assert_eq!(ended.expect("it ends").expect("a status").code(), Some(130));
    }
}

#[test]
fn closed_pipe_ends_a_tool_without_an_error() {
    gdmarket_testkit::run(async {
        let db = TestDb::sqlite();
        let _server = market(&db).await;
        let tools = Tools { db: &db };
        for line in ["events list --all", "state item 1", "trace reservation 1"] {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            let mut command = Command::new(PROGRAM);
            let folder = folder();
            command.args(line.split(' ')).args(tools.place()).current_dir(folder.path());
            let output = command.stdout(writer).output().expect("the program runs");
            assert_eq!(output.status.code(), Some(0), "{line}");
            assert_eq!(errors(&output), "", "{line}");
        }
    });
}

#[test]
fn folder_without_a_log_is_reported_and_stays_empty() {
    let folder = folder();
    for line in ["events list", "events stats", "state item 1", "trace reservation 1"] {
        let output = run(folder.path(), &line.split(' ').collect::<Vec<_>>(), &[]);
        assert_ne!(output.status.code(), Some(0), "{line}");
        assert!(errors(&output).contains("→"), "{line}: {}", errors(&output));
    }
    assert!(!folder.path().join("gdmarket-data/log.db").exists());
}
