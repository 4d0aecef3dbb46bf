//! Helpers that run the program's tools on a test's database, and call a running server.

use crate::command_line::{errors, folder, run};
use gdmarket_testkit::{Server, TestDb};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::process::Output;

/// The tools, on a test's database.
pub(crate) struct Tools<'a> {
    pub(crate) db: &'a TestDb,
}

impl Tools<'_> {
    pub(crate) fn place(&self) -> [String; 2] {
        match self.db.folder() {
            Some(folder) => ["--data-dir".to_owned(), folder.display().to_string()],
            None => ["--database-url".to_owned(), self.db.url().to_owned()],
        }
    }

    /// Runs a command line whose words are separated by single spaces.
    pub(crate) fn run(&self, line: &str) -> Output {
        let place = self.place();
        let words = line.split(' ').chain(place.iter().map(String::as_str));
        let folder = folder();
        run(folder.path(), &words.collect::<Vec<_>>(), &[])
    }

    /// The text that a successful command prints.
    pub(crate) fn text(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", errors(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The JSON that a successful command prints, line by line.
    pub(crate) fn json(&self, line: &str) -> Vec<Value> {
        let text = self.text(&format!("{line} --json"));
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The exit code and the message of a refused command, which prints nothing else.
    pub(crate) fn refused(&self, line: &str) -> (Option<i32>, String) {
        let output = self.run(line);
        assert!(output.stdout.is_empty(), "{line}: {}", String::from_utf8_lossy(&output.stdout));
        (output.status.code(), errors(&output))
    }
}

/// Registers another camera of owner 7.
pub(crate) async fn register(server: &Server) {
    let camera = json!({"itemName": "Camera", "itemPrice": 100, "ownerId": 7});
    send(server, Method::POST, "/items", camera).await;
}

/// Writes the second event of an item, as another program.
pub(crate) async fn write(db: &TestDb, no: i64, event_type: &str, payload: &str) {
    db.log_sql(&format!(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
         payload, metadata) VALUES ('item', '{no}', 2, '{event_type}', '1', '{payload}', '{{}}')"
    ))
    .await;
}

/// Sends a request that succeeds, and returns the body of the answer.
pub(crate) async fn send(server: &Server, method: Method, path: &str, body: Value) -> Value {
    let call = Client::new().request(method, server.url(path)).json(&body);
    let answer = call.send().await.expect("an answer");
    let status = answer.status();
    let body = answer.bytes().await.expect("a body");
    assert!(status.is_success(), "{path}: {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).expect("JSON")
}
