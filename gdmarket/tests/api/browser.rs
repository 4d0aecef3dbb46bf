//! `/docs` in a real browser that can reach no other host.
//!
//! Without the browser the test fails and shows the command that installs it.

use crate::command_line::PROGRAM;
use gdmarket_testkit::ServerOptions;
use serde_json::Value;
use std::io::ErrorKind;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;

/// Debian's package of this name; `scripts/test` installs it.
const BROWSER: &str = "chromium";
/// How long a browser may take on a busy machine.
const SHOWN_WITHIN: Duration = Duration::from_mins(2);
/// Marks the lines of the page's console, such as faults of loading.
const CONSOLE: &str = ":CONSOLE:";

/// Opens a page, and returns the document that its scripts built (stdout) and the browser's messages
/// (stderr). The names of other hosts don't resolve.
async fn open(url: &str) -> Output {
    let profile = tempfile::tempdir().expect("a temporary folder");
    let mut browser = Command::new(BROWSER);
    browser
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        // Containers have little shared memory.
        .args(["--disable-dev-shm-usage", "--enable-logging=stderr"])
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--virtual-time-budget=10000", "--dump-dom", url])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(SHOWN_WITHIN, browser.output()).await;
    match output.expect("the browser ends in time") {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => panic!(
            "{BROWSER} is not installed, and a test in a browser is never skipped. Type \
             scripts/test, or: apt-get install --no-install-recommends {BROWSER}"
        ),
        Err(error) => panic!("{BROWSER}: {error}"),
    }
}

/// The attributes by which swagger-ui marks the element of each operation: its id and its path.
fn operations(document: &Value) -> Vec<(String, String)> {
    let mut found = vec![];
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for operation in methods.as_object().expect("operations").values() {
            let tag = operation["tags"][0].as_str().expect("a tag");
            let id = operation["operationId"].as_str().expect("an id");
            found.push((format!("id=\"operations-{tag}-{id}\""), format!("data-path=\"{path}\"")));
        }
    }
    found
}

#[test]
fn browser_without_a_network_shows_every_operation() {
    gdmarket_testkit::run(async {
        let server = ServerOptions::new(PROGRAM).start().await;
        let document = reqwest::get(server.url("/openapi.json")).await.expect("an answer");
        let document = document.text().await.expect("text");
        let document = serde_json::from_str(&document).expect("the document");
        let output = open(&server.url("/docs")).await;
        let (page, messages) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{messages}");
        let operations = operations(&document);
        assert!(operations.len() >= 30, "{operations:?}");
        for (id, path) in operations {
            assert!(page.contains(&id) && page.contains(&path), "{id} {path}: {page}\n{messages}");
        }
        for fault in ["errors-wrapper", "Failed to load", "loading-container"] {
            assert!(!page.contains(fault), "{fault}: {page}");
        }
        // A request of the page to another host would fail and leave a line in the console.
        let complaints: Vec<_> = messages.lines().filter(|line| line.contains(CONSOLE)).collect();
        assert_eq!(complaints, [""; 0]);
    });
}
