//! A person is forgotten: the name is gone from the table and from every answer, the log stays as it
//! is.

use crate::command_line::{PROGRAM, errors, folder};
use crate::tools::{Tools, register, send};
use gdmarket_testkit::{Server, ServerOptions, TestDb, on_each_engine};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const NAME: &str = "YoungEunSong";

/// An item that renter 1 of this name has reserved, and renter 2 of another.
async fn reserved(db: &TestDb) -> Server {
    let server = ServerOptions::new(PROGRAM).on(db).start().await;
    for (item, name) in [(1, NAME), (2, "Ünal")] {
        register(&server).await;
        let wish = json!({"itemNo": item, "customerId": item, "customerName": name});
        send(&server, Method::POST, "/reservations", wish).await;
    }
    server
}

async fn name_at(server: &Server, path: &str) -> Value {
    let answer = Client::new().get(server.url(path)).send().await.expect("an answer");
    let body: Value = answer.json().await.expect("JSON");
    assert!(body.get("customerName").is_some(), "{path}: {body}");
    body["customerName"].clone()
}

/// What the whole log holds, with what is known of people, as one text.
fn exported(tools: &Tools<'_>) -> String {
    let folder = folder();
    let file = folder.path().join("log.ndjson");
    tools.text(&format!("events export {} --with-personal-data", file.display()));
    std::fs::read_to_string(file).expect("the export")
}

/// Types an answer into the program on a terminal of its own.
fn typed(tools: &Tools<'_>, line: &str, answer: &str) -> Output {
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
    async fn an_erased_name_is_gone_and_the_log_is_as_it_was(db: &TestDb) {
        let server = reserved(db).await;
        let tools = Tools { db };
        assert!(exported(&tools).contains(NAME));
        let events = tools.json("events list --all");
        let told = tools.json("persons erase 1 --yes");
        let summary = |told: &[Value]| (told[0]["outcome"].clone(), told[0]["names"].clone());
        assert_eq!((told[0]["person"].clone(), summary(&told)), (json!(1), (json!("erased"), json!(1))));
        for path in ["/reservations/1", "/itemInfoes/1"] {
            assert_eq!(name_at(&server, path).await, Value::Null, "{path}");
        }
        assert_eq!(name_at(&server, "/reservations/2").await, "Ünal");
        assert!(!exported(&tools).contains(NAME));
        assert_eq!(tools.json("events list --all"), events);
        tools.text("replay --all --verify");

        // Once more is harmless, and so is somebody unknown.
        for no in [1, 99] {
            let told = tools.json(&format!("persons erase {no} --yes"));
            assert_eq!(summary(&told), (json!("not-known"), json!(0)), "{no}");
        }
        // A name that comes with a later reservation belongs to that one.
        register(&server).await;
        let wish = json!({"itemNo": 3, "customerId": 1, "customerName": "Song"});
        send(&server, Method::POST, "/reservations", wish).await;
        assert_eq!(name_at(&server, "/reservations/3").await, "Song");
        assert_eq!(name_at(&server, "/reservations/1").await, Value::Null);
    }

    async fn a_name_is_erased_only_by_who_means_it(db: &TestDb) {
        let server = reserved(db).await;
        let tools = Tools { db };
        let (code, told) = tools.refused("persons erase 1");
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains("add --yes"), "{told}");
        for no in ["0", "one", "-1"] {
            assert_eq!(tools.refused(&format!("persons erase {no} --yes")).0, Some(2), "{no}");
        }
        let kept = typed(&tools, "persons erase 1", "n\n");
        let told = String::from_utf8_lossy(&kept.stdout).into_owned();
        assert_eq!(kept.status.code(), Some(1), "{told}{}", errors(&kept));
        assert!(told.contains("Erase the names of person 1?"), "{told}");
        assert_eq!(name_at(&server, "/reservations/1").await, NAME);
        let erased = typed(&tools, "persons erase 1", "y\n");
        let told = String::from_utf8_lossy(&erased.stdout).into_owned();
        assert_eq!(erased.status.code(), Some(0), "{told}");
        assert!(told.contains("The names of person 1 are erased (1)."), "{told}");
        assert_eq!(name_at(&server, "/reservations/1").await, Value::Null);
    }
}
