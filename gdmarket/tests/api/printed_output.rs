//! Printed output: texts of strangers without control characters, only JSON with `--json`, only results and
//! errors with `--quiet`.

use crate::command_line::{PROGRAM, errors, folder, run};
use crate::tools::{Tools, send};
use gdmarket_testkit::{ServerOptions, TestDb, free_port, on_each_engine};
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Output;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Control and invisible characters that must not reach a terminal.
const HOSTILE: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{7f}\u{202e}\u{2066}\u{200f}\u{e0041}x\ny";

fn is_hostile(character: char) -> bool {
    let is_hidden = matches!(character, '\u{202e}' | '\u{2066}' | '\u{200f}' | '\u{e0041}');
    is_hidden || (character.is_control() && character != '\n')
}

/// Asserts that a program printed no such character.
fn assert_safe(what: &str, output: &Output) {
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8(bytes.clone()).expect("text");
        assert!(!text.contains(is_hostile), "{what}: {text:?}");
        // A line end in a stranger's text would start another line.
        assert!(!text.lines().any(|line| line.starts_with('y')), "{what}: {text:?}");
    }
}

/// A log whose names and actors contain hostile characters.
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
    async fn tools_print_no_control_characters_of_the_log(db: &TestDb) {
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
            assert_safe(line, &output);
        }
        let events = tools.json("events list --item 1 --type ItemRegistered");
        assert_eq!(events[0]["data"]["itemName"], HOSTILE, "JSON keeps them: {events:?}");
    }
}

on_each_engine! {
    async fn import_refuses_names_and_actors_that_no_caller_can_send(db: &TestDb) {
        hostile_log(db).await;
        let tools = Tools { db };
        let folder = folder();
        let file = folder.path().join("a.ndjson").display().to_string();
        tools.text(&format!("events export {file}"));
        let empty = TestDb::sqlite();
        let into = Tools { db: &empty };
        let (code, message) = into.refused(&format!("events import {file}"));
        assert_eq!(code, Some(2), "{message}");
        assert!(message.contains("line 2 of the archive: event 1 (alarm/1), metadata.actor: an actor is"), "{message}");
        assert!(message.contains("nothing was imported"), "{message}");
        assert_safe("import", &into.run(&format!("events import {file}")));
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
fn demo_prints_no_control_characters_of_a_server() {
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
            assert_safe("demo", &demo);
        }
    });
}

#[test]
fn arguments_are_quoted_without_control_characters() {
    let folder = folder();
    let argument = HOSTILE.replace('\n', "");
    let argument = argument.as_str();
    for arguments in [
        &[argument][..],
        &["trace", argument],
        &["events", "list", "--actor", argument],
        &["config", "show", "--data-dir", argument],
        &["check", "--data-dir", argument],
        &["serve", "--listen", argument],
        &["--json", "serve", "--listen", argument],
        &["check", "--config", argument],
    ] {
        assert_safe(&format!("{arguments:?}"), &run(folder.path(), arguments, &[]));
    }
}

#[test]
fn server_logs_no_control_characters_of_callers() {
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
fn quiet_tools_print_only_results_and_json_tools_only_json() {
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

/// The stdout and stderr of a server from its start to its end.
async fn output_of_server(flags: &[&str]) -> (String, String) {
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
    // A refused request, which would be a line of the log.
    drop(reqwest::get(format!("http://{listen}/items/x")).await);
    let pid = child.id().expect("a running program").to_string();
    let sent = tokio::process::Command::new("kill").args(["-s", "INT", &pid]).status().await;
    assert!(sent.is_ok_and(|status| status.success()));
    let output = child.wait_with_output().await.expect("its end");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The log without the lines of probes that arrived before the server was ready.
fn without_probes(log: &str) -> String {
    let lines = log.lines().filter(|line| !line.contains("/readyz"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn server_prints_its_greeting_first_and_nothing_when_quiet() {
    gdmarket_testkit::run(async {
        let (stdout, stderr) = output_of_server(&[]).await;
        let stderr = without_probes(&stderr);
        assert_eq!(stdout, "");
        let greeting = stderr.lines().position(|line| line.starts_with("GDmarket serves "));
        assert!(greeting.is_some_and(|line| line <= 2), "the greeting comes too late: {stderr}");
        let before_the_end = stderr.lines().take_while(|line| !line.contains("shutdown requested"));
        assert!(before_the_end.count() <= 6, "{stderr}");
        let (stdout, stderr) = output_of_server(&["--quiet"]).await;
        assert_eq!((stdout.as_str(), without_probes(&stderr).as_str()), ("", ""));
        let (stdout, stderr) = output_of_server(&["--json"]).await;
        let greeting: Value = serde_json::from_str(stdout.trim()).expect("one line of JSON");
        assert!(greeting["url"].as_str().is_some_and(|url| url.starts_with("http://")), "{stdout}");
        for line in stderr.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
        }
    });
}
