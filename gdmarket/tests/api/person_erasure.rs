//! `gdmarket persons erase`: the name is removed from the table and from every answer, and the log stays as
//! it is.

use crate::command_line::{PROGRAM, errors, folder};
use crate::tools::{Tools, register, send};
use gdmarket_testkit::{Server, ServerOptions, TestDb, on_each_engine};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const NAME: &str = "YoungEunSong";

/// A market in which renter 1 of this name and renter 2 of another name have reserved an item each.
async fn market(db: &TestDb) -> Server {
    let server = ServerOptions::new(PROGRAM).on(db).start().await;
    for (item, name) in [(1, NAME), (2, "Ünal")] {
        register(&server).await;
        let body = json!({"itemNo": item, "customerId": item, "customerName": name});
        send(&server, Method::POST, "/reservations", body).await;
    }
    server
}

async fn name_at(server: &Server, path: &str) -> Value {
    let answer = Client::new().get(server.url(path)).send().await.expect("an answer");
    let body: Value = answer.json().await.expect("JSON");
    assert!(body.get("customerName").is_some(), "{path}: {body}");
    body["customerName"].clone()
}

/// The whole log with personal data, as one text.
fn export(tools: &Tools<'_>) -> String {
    let folder = folder();
    let file = folder.path().join("log.ndjson");
    tools.text(&format!("events export {} --with-personal-data", file.display()));
    std::fs::read_to_string(file).expect("the export")
}

/// Runs a command on a terminal and types this answer.
fn run_on_terminal(tools: &Tools<'_>, line: &str, answer: &str) -> Output {
    let line = format!("{PROGRAM} {line} {}", tools.place().join(" "));
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script, of the package bsdutils");
    let mut keyboard = terminal.stdin.take().expect("a keyboard");
    keyboard.write_all(answer.as_bytes()).expect("typing");
    // The terminal stays until the program has ended.
    let output = terminal.wait_with_output().expect("its end");
    drop(keyboard);
    output
}

on_each_engine! {
    async fn erased_name_is_in_no_answer_and_the_log_is_unchanged(db: &TestDb) {
        let server = market(db).await;
        let tools = Tools { db };
        assert!(export(&tools).contains(NAME));
        let events = tools.json("events list --all");
        let report = tools.json("persons erase 1 --yes");
        let summary = |report: &[Value]| (report[0]["outcome"].clone(), report[0]["names"].clone());
        assert_eq!((report[0]["person"].clone(), summary(&report)), (json!(1), (json!("erased"), json!(1))));
        for path in ["/reservations/1", "/itemInfoes/1"] {
            assert_eq!(name_at(&server, path).await, Value::Null, "{path}");
        }
        assert_eq!(name_at(&server, "/reservations/2").await, "Ünal");
        assert!(!export(&tools).contains(NAME));
        assert_eq!(tools.json("events list --all"), events);
        tools.text("replay --all --verify");

        // Erasing again, or an unknown person, changes nothing.
        for no in [1, 99] {
            let report = tools.json(&format!("persons erase {no} --yes"));
            assert_eq!(summary(&report), (json!("not-known"), json!(0)), "{no}");
        }
        // The name of a later reservation belongs to that one.
        register(&server).await;
        let body = json!({"itemNo": 3, "customerId": 1, "customerName": "Song"});
        send(&server, Method::POST, "/reservations", body).await;
        assert_eq!(name_at(&server, "/reservations/3").await, "Song");
        assert_eq!(name_at(&server, "/reservations/1").await, Value::Null);
    }

    async fn name_is_erased_only_after_confirmation(db: &TestDb) {
        let server = market(db).await;
        let tools = Tools { db };
        let (code, message) = tools.refused("persons erase 1");
        assert_eq!(code, Some(2), "{message}");
        assert!(message.contains("add --yes"), "{message}");
        for no in ["0", "one", "-1"] {
            assert_eq!(tools.refused(&format!("persons erase {no} --yes")).0, Some(2), "{no}");
        }
        let kept = run_on_terminal(&tools, "persons erase 1", "n\n");
        let printed = String::from_utf8_lossy(&kept.stdout).into_owned();
        assert_eq!(kept.status.code(), Some(1), "{printed}{}", errors(&kept));
        assert!(printed.contains("Erase the names of person 1?"), "{printed}");
        assert_eq!(name_at(&server, "/reservations/1").await, NAME);
        let erased = run_on_terminal(&tools, "persons erase 1", "y\n");
        let printed = String::from_utf8_lossy(&erased.stdout).into_owned();
        assert_eq!(erased.status.code(), Some(0), "{printed}");
        assert!(printed.contains("The names of person 1 are erased (1)."), "{printed}");
        assert_eq!(name_at(&server, "/reservations/1").await, Value::Null);
    }
}
