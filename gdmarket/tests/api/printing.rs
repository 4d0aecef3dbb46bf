//! What is printed: texts of strangers without control characters, JSON wherever JSON is asked for,
//! nothing but results and errors where quiet is asked for.

use crate::command_line::{PROGRAM, errors, folder, run};
use crate::tools::{Tools, send};
use gdmarket_testkit::{ServerOptions, TestDb, free_port, on_each_engine};
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Output;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What no terminal should get, each followed by a letter of its own.
const HOSTILE: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{7f}\u{202e}\u{2066}\u{200f}\u{e0041}x\ny";

fn is_hostile(character: char) -> bool {
    let is_hidden = matches!(character, '\u{202e}' | '\u{2066}' | '\u{200f}' | '\u{e0041}');
    is_hidden || (character.is_control() && character != '\n')
}

fn is_safe(what: &str, output: &Output) {
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8(bytes.clone()).expect("text");
        assert!(!text.contains(is_hostile), "{what}: {text:?}");
        // A line end of a stranger would begin a line of its own.
        assert!(!text.lines().any(|line| line.starts_with('y')), "{what}: {text:?}");
    }
}

/// A log whose names, actors and types were written by somebody else.
async fn hostile_log(db: &TestDb) {
    let server = ServerOptions::new(PROGRAM).on(db).start().await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100, "ownerId": 7});
    send(&server, Method::POST, "/items", camera).await;
    send(&server, Method::POST, "/reservations", json!({"itemNo": 1, "customerId": 1})).await;
    drop(server);
    let escaped = serde_json::to_string(HOSTILE).expect("JSON").replace('\'', "''");
    let escaped = escaped.trim_matches('"').replace("\u{e0041}", "\\udb40\\udc41");
    for (column, from) in [("payload", "Camera"), ("metadata", "local")] {
        let text = format!("replace(CAST({column} AS TEXT), '{from}', '{escaped}')");
        let json = if db.folder().is_some() { text } else { format!("CAST({text} AS JSON)") };
        db.log_sql(&format!("UPDATE events SET {column} = {json}")).await;
    }
}

on_each_engine! {
    async fn no_tool_prints_control_characters_of_strangers(db: &TestDb) {
        hostile_log(db).await;
        let tools = Tools { db };
        for line in [
            "events list", "events list --json", "events show 1", "events show 1 --json",
            "events tail", "events stats", "state item 1", "state item 1 --json",
            "state reservation 1", "trace reservation 1", "trace reservation 1 --format dot",
            "trace reservation 1 --format mermaid", "trace reservation 1 --json", "check",
            "check --json", "views status", "parked list", "replay item-info --verify",
        ] {
            let output = tools.run(line);
            is_safe(line, &output);
        }
        let told = tools.json("events list --item 1 --type ItemRegistered");
        assert_eq!(told[0]["data"]["itemName"], HOSTILE, "JSON is still the same: {told:?}");
    }
}

on_each_engine! {
    async fn an_import_refuses_names_and_actors_that_no_caller_could_have_sent(db: &TestDb) {
        hostile_log(db).await;
        let tools = Tools { db };
        let folder = folder();
        let file = folder.path().join("a.ndjson").display().to_string();
        tools.text(&format!("events export {file}"));
        let empty = TestDb::sqlite();
        let into = Tools { db: &empty };
        let (code, told) = into.refused(&format!("events import {file}"));
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains("line 2 of the archive: event 1 (alarm/1), metadata.actor: an actor is"), "{told}");
        assert!(told.contains("nothing was imported"), "{told}");
        is_safe("import", &into.run(&format!("events import {file}")));
    }
}

/// Answers every request with hostile texts.
async fn hostile_server() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                drop(connection.read(&mut head).await);
                let body = json!({"code": HOSTILE, "title": HOSTILE, "itemName": HOSTILE});
                let body = body.to_string();
                let answer = format!(
                    "HTTP/1.1 400 Bad\r\ncontent-type: application/problem+json\r\n\
                     content-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                drop(connection.write_all(answer.as_bytes()).await);
            });
        }
    });
    port
}

#[test]
fn the_demo_prints_no_control_characters_of_a_server() {
    gdmarket_testkit::run(async {
        let url = format!("http://127.0.0.1:{}", hostile_server().await);
        for json in [&[][..], &["--json"]] {
            let arguments = [&["demo", "--url", &url][..], json].concat();
            let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
            let demo = tokio::task::spawn_blocking(move || {
                let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
                run(folder().path(), &words, &[])
            });
            let demo = demo.await.expect("a demo");
            assert_eq!(demo.status.code(), Some(1), "{}", errors(&demo));
            is_safe("demo", &demo);
        }
    });
}

#[test]
fn what_was_typed_is_quoted_without_control_characters() {
    let folder = folder();
    let typed = HOSTILE.replace('\n', "");
    let typed = typed.as_str();
    for arguments in [
        &[typed][..],
        &["trace", typed],
        &["events", "list", "--actor", typed],
        &["config", "show", "--data-dir", typed],
        &["check", "--data-dir", typed],
        &["serve", "--listen", typed],
        &["--json", "serve", "--listen", typed],
        &["check", "--config", typed],
    ] {
        is_safe(&format!("{arguments:?}"), &run(folder.path(), arguments, &[]));
    }
}

#[test]
fn a_server_logs_no_control_characters_of_callers() {
    gdmarket_testkit::run(async {
        for format in ["json", "pretty"] {
            let options = ServerOptions::new(PROGRAM)
                .variable("GDMARKET__TELEMETRY__FORMAT", format)
                .variable("GDMARKET__TELEMETRY__LOG", "debug");
            let mut server = options.start().await;
            let items = server.url("/items/\u{9b}31m\u{202e}%1b%9b");
            drop(reqwest::get(items).await);
            let mut raw = tokio::net::TcpStream::connect(("127.0.0.1", server.port()))
                .await
                .expect("a connection");
            let head = "GET /items/\u{9b}31m\u{202e}x HTTP/1.1\r\nHost: localhost\r\n\
                        traceparent: \u{9b}31m\u{202e}\r\nConnection: close\r\n\r\n";
            raw.write_all(head.as_bytes()).await.expect("a request");
            drop(raw.read_to_end(&mut vec![]).await);
            server.terminate().await;
            server.wait(Duration::from_secs(20)).await;
            let log = server.stderr();
            assert!(!log.contains(is_hostile), "{log:?}");
        }
    });
}

#[test]
fn quiet_is_quiet_and_json_is_json() {
    gdmarket_testkit::run(async {
        let db = TestDb::sqlite();
        let tools = Tools { db: &db };
        assert_eq!(errors(&tools.run("migrate --quiet")), "");
        for line in [
            "migrate",
            "check",
            "events list",
            "events stats",
            "events tail",
            "views status",
            "parked list",
            "config show",
            "persons erase 1 --yes",
            "replay item-info --promote",
        ] {
            let quiet = tools.run(&format!("{line} --quiet"));
            assert_eq!(quiet.status.code(), Some(0), "{line}: {}", errors(&quiet));
            assert_eq!(errors(&quiet), "", "{line}");
            let output = tools.run(&format!("{line} --json"));
            for bytes in [&output.stdout, &output.stderr] {
                for line_of_it in String::from_utf8_lossy(bytes).lines() {
                    let parsed = serde_json::from_str::<Value>(line_of_it);
                    assert!(parsed.is_ok(), "{line}: {line_of_it}");
                }
            }
        }
    });
}

/// What a server writes to stdout and stderr from its start to its end.
async fn served(flags: &[&str]) -> (String, String) {
    let folder = folder();
    let listen = format!("127.0.0.1:{}", free_port());
    let mut command = tokio::process::Command::new(PROGRAM);
    command.args(["serve", "--listen", &listen]).args(flags).env_clear().current_dir(folder.path());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.kill_on_drop(true).spawn().expect("the program runs");
    let port = listen.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
    gdmarket_testkit::eventually(Duration::from_secs(30), || async {
        match gdmarket_testkit::get_status(port, "/readyz").await {
            Ok(200) => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    })
    .await;
    // Refused: it would be a line of the log.
    drop(reqwest::get(format!("http://{listen}/items/x")).await);
    let pid = child.id().expect("a running program").to_string();
    let sent = tokio::process::Command::new("kill").args(["-s", "INT", &pid]).status().await;
    assert!(sent.is_ok_and(|status| status.success()));
    let output = child.wait_with_output().await.expect("its end");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Probes that come before the server is ready may be lines of their own.
fn without_probes(log: &str) -> String {
    let lines = log.lines().filter(|line| !line.contains("/readyz"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_server_greets_first_and_says_nothing_when_quiet() {
    gdmarket_testkit::run(async {
        let (stdout, stderr) = served(&[]).await;
        let stderr = without_probes(&stderr);
        assert_eq!(stdout, "");
        let greeting = stderr.lines().position(|line| line.starts_with("GDmarket serves "));
        assert!(greeting.is_some_and(|line| line <= 2), "the greeting is buried: {stderr}");
        let before_the_end = stderr.lines().take_while(|line| !line.contains("told to end"));
        assert!(before_the_end.count() <= 6, "{stderr}");
        let (stdout, stderr) = served(&["--quiet"]).await;
        assert_eq!((stdout.as_str(), without_probes(&stderr).as_str()), ("", ""));
        let (stdout, stderr) = served(&["--json"]).await;
        let greeting: Value = serde_json::from_str(stdout.trim()).expect("one line of JSON");
        assert!(greeting["url"].as_str().is_some_and(|url| url.starts_with("http://")), "{stdout}");
        for line in stderr.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
        }
    });
}
