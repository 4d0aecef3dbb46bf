//! A market moves from one engine to the other with the real program: it continues where it was, nothing is
//! executed twice, and an import that is killed or refused leaves nothing behind.

use crate::idle::wait_until_idle;
use crate::stored_state::{read_gateway_ledger, whole_log};
use gdmarket_testkit::{
    Engine, MarketClient, Server, ServerOptions, TestDb, all_resources, eventually, on_each_engine,
};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
const SOON: Duration = Duration::from_secs(30);

fn command(db: &TestDb, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(std::env::temp_dir());
    match db.folder() {
        Some(data) => command.arg("--data-dir").arg(data),
        None => command.args(["--database-url", db.url()]),
    };
    command
}

/// Runs one of the program's tools on this database: the exit code, stdout and stderr.
pub(crate) fn gdmarket(db: &TestDb, arguments: &[&str]) -> (Option<i32>, String, String) {
    outcome_of(&command(db, arguments).output().unwrap())
}

fn outcome_of(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

async fn on_the_other_engine(db: &TestDb) -> TestDb {
    match db.engine() {
        Engine::Sqlite => TestDb::postgres().await,
        Engine::Postgres => TestDb::sqlite(),
    }
}

async fn serve(db: &TestDb) -> Server {
    ServerOptions::new(PROGRAM).on(db).start().await
}

async fn end(mut server: Server) {
    server.terminate().await;
    assert_eq!(server.wait(SOON).await.code(), Some(0), "{}", server.stderr());
}

/// A folder with the exported log of a market in which one reservation is paid and one isn't yet.
struct Export {
    folder: tempfile::TempDir,
    shown: Vec<Value>,
}

impl Export {
    async fn of(db: &TestDb) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = serve(db).await;
        let market = MarketClient::at(&server.url(""));
        let item = json!({"itemName": "Camera", "itemPrice": 100, "ownerId": 7});
        market.send(Method::POST, "/items", Some(item), Some("first")).await.unwrap().expect(201);
        market.register(200).await;
        market.reserve(1, 21).await.expect(201);
        market.reserve(2, 22).await.expect(201);
        market.pay(1).await.expect(200);
        wait_until_idle(&market, db).await;
        let shown = all_resources(&market).await;
        let export = Self { folder, shown };
        // Next to a running server, too.
        let (code, _, stderr) = gdmarket(db, &["events", "export", &export.file("served.ndjson")]);
        assert_eq!(code, Some(0), "{stderr}");
        end(server).await;
        let file = export.file("log.ndjson");
        let (code, stdout, stderr) =
            gdmarket(db, &["events", "export", &file, "--with-personal-data", "--json"]);
        assert_eq!(code, Some(0), "{stderr}");
        let summary: Value = serde_json::from_str(&stdout).unwrap();
        let events = i64::try_from(whole_log(db).await.len()).unwrap();
        assert_eq!(summary["manifest"]["events"], events);
        assert!(stderr.contains(&format!("{events} of {events}")), "{stderr}");
        export
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path("log.ndjson")).unwrap()
    }

    /// A changed copy of the exported file, with a hash chain that fits the change.
    fn changed(&self, from: &str, to: &str) -> String {
        let text = self.text();
        assert!(text.contains(from));
        let text = text.replace(from, to);
        let (lines, manifest) = text.trim_end().rsplit_once('\n').unwrap();
        let mut chain = [0_u8; 32];
        for line in lines.split('\n') {
            chain = Sha256::new().chain_update(chain).chain_update(line).finalize().into();
        }
        let hex = chain.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let (counts, _) = manifest.split_once("\"chain\":").unwrap();
        let sealed = format!("{lines}\n{counts}\"chain\":\"{hex}\"}}}}\n");
        std::fs::write(self.path("changed.ndjson"), sealed).unwrap();
        self.file("changed.ndjson")
    }
}

/// Waits until the tool handles signals: by then it has opened more than its first files.
async fn handles_signals(tool: &Child) {
    let status_file = format!("/proc/{}/status", tool.id());
    eventually(SOON, || async {
        let status = std::fs::read_to_string(&status_file).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap_or("0").trim(), 16).unwrap_or(0);
        // SIGINT is the second bit.
        if caught & 0b10 != 0 { Ok(()) } else { Err(status) }
    })
    .await;
}

fn send(tool: &Child, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &tool.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -s {signal}");
}

on_each_engine! {
    async fn imported_market_continues_with_the_same_answers_numbers_and_charges(db: &TestDb) {
        let export = Export::of(db).await;
        let before = whole_log(db).await;
        let charges = read_gateway_ledger(db).await;
        assert_eq!(charges.len(), 1);
        let other = on_the_other_engine(db).await;
        // A server ran on the empty database: its views are built.
        end(serve(&other).await).await;
        let (code, stdout, stderr) =
            gdmarket(&other, &["events", "import", &export.file("log.ndjson"), "--json"]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stdout.contains("\"epoch\":2"), "{stdout}");
        assert_eq!(whole_log(&other).await, before);
        let server = serve(&other).await;
        let market = MarketClient::at(&server.url(""));
        eventually(SOON, || async {
            let shown = all_resources(&market).await;
            if shown == export.shown { Ok(()) } else { Err(format!("{shown:?}")) }
        })
        .await;
        let item = json!({"itemName": "Camera", "itemPrice": 100, "ownerId": 7});
        let again = market.send(Method::POST, "/items", Some(item), Some("first")).await.unwrap();
        assert_eq!(again.expect(201).number("itemNo"), 1, "the receipt is imported");
        assert_eq!(whole_log(&other).await.len(), before.len(), "no reaction is repeated");
        assert_eq!(market.register(300).await, 3);
        assert_eq!(market.reserve(3, 23).await.expect(201).number("reservationNo"), 3);
        market.pay(3).await.expect(200);
        market.lend(1).await.expect(200);
        wait_until_idle(&market, &other).await;
        let ledger = read_gateway_ledger(&other).await;
        assert_eq!(ledger[..1], charges);
        assert_eq!(ledger.len(), 2, "the charge of the new payment, and no other");
        end(server).await;
        let (code, _, stderr) = gdmarket(&other, &["check"]);
        assert_eq!(code, Some(0), "{stderr}");
    }

    /// The import is killed at its failpoints, and while it waits for the rest of its input.
    async fn killed_import_leaves_an_empty_log_that_can_be_imported_into(db: &TestDb) {
        let export = Export::of(db).await;
        let other = on_the_other_engine(db).await;
        let file = export.file("log.ndjson");
        let assert_empty = async |place: &str| {
            let log = whole_log(&other).await;
            assert_eq!(log.len(), 0, "{place}");
        };
        let places: &[&str] = match other.engine() {
            Engine::Sqlite => &["import.events", "import.views"],
            Engine::Postgres => &["import.events"],
        };
        for place in places {
            let mut import = command(&other, &["events", "import", &file]);
            let ended = import.env("FAILPOINTS", format!("{place}=return")).output().unwrap();
            assert_eq!(ended.status.code(), None, "{place}: {:?}", outcome_of(&ended));
            assert_empty(place).await;
        }
        for (signal, expected) in [("KILL", None), ("INT", Some(130))] {
            let mut import = command(&other, &["events", "import", "-"]);
            let mut import = import.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let text = export.text();
            let mut pipe = import.stdin.take().unwrap();
            pipe.write_all(&text.as_bytes()[..text.len() - 100]).unwrap();
            pipe.flush().unwrap();
            handles_signals(&import).await;
            send(&import, signal);
            // The import ends although its input is still open.
            let ended = import.wait_with_output().unwrap();
            assert_eq!(ended.status.code(), expected, "{:?}", outcome_of(&ended));
            drop(pipe);
            assert_empty(signal).await;
        }
        let (code, _, stderr) = gdmarket(&other, &["events", "import", &file]);
        assert_eq!(code, Some(0), "{stderr}");
        assert_eq!(whole_log(&other).await, whole_log(db).await);
    }

    /// Each refusal has its exit code, one clear line and the next step; the log stays empty.
    async fn refused_import_reports_the_reason_and_the_next_step(db: &TestDb) {
        let export = Export::of(db).await;
        let other = on_the_other_engine(db).await;
        let refused = |db: &TestDb, file: &str, expected: i32, part: &str| {
            let (code, stdout, stderr) = gdmarket(db, &["events", "import", file]);
            assert_eq!((code, stdout.as_str()), (Some(expected), ""), "{stderr}");
            assert!(stderr.contains(part), "{stderr}");
            assert!(stderr.contains("→"), "{stderr}");
        };
        let text = export.text();
        let write = |name: &str, text: &str| {
            std::fs::write(export.path(name), text).unwrap();
            export.file(name)
        };
        refused(&other, &export.file("nowhere"), 2, "can't be read");
        refused(&other, &write("cut", &text[..text.len() / 2]), 2, "cut short");
        refused(&other, &write("byte", &text.replacen("Camera", "Camerb", 1)), 2, "hash chain");
        refused(&other, &write("newer", &text.replacen("\"version\":2", "\"version\":7", 1)), 2, "version 7");
        refused(&other, &write("other", "{}\n"), 2, "no archive");
        refused(db, &export.file("log.ndjson"), 2, "not empty");
        let away = ["events", "import", &export.file("log.ndjson"), "--database-url", "postgres://postgres@127.0.0.1:1/x"];
        let away = Command::new(PROGRAM).args(away).output().unwrap();
        assert_eq!(away.status.code(), Some(3), "{:?}", outcome_of(&away));
        let server = serve(&other).await;
        refused(&other, &export.file("log.ndjson"), 1, "in use");
        end(server).await;
        assert_eq!(whole_log(&other).await.len(), 0);
        let (code, _, stderr) = gdmarket(&other, &["events", "import", &export.file("log.ndjson")]);
        assert_eq!(code, Some(0), "{stderr}");
    }

    /// An export overwrites a file only with `--force`, is complete or absent, and can be written to a pipe.
    async fn export_is_complete_or_absent(db: &TestDb) {
        let export = Export::of(db).await;
        let file = export.file("log.ndjson");
        let (code, _, stderr) = gdmarket(db, &["events", "export", &file]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("--force"), "{stderr}");
        assert!(export.text().contains("\"person\""));
        std::fs::write(export.path("log.ndjson.part"), "left by a killed export").unwrap();
        let (code, stdout, stderr) = gdmarket(db, &["events", "export", &file, "--force"]);
        assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
        assert!(!export.text().contains("\"person\""), "names are exported on request only");
        assert!(!export.path("log.ndjson.part").exists());
        let (code, stdout, _) = gdmarket(db, &["events", "export", "-"]);
        assert_eq!((code, stdout), (Some(0), export.text()));
        let small = export.file("small.zst");
        let (code, _, stderr) = gdmarket(db, &["events", "export", &small]);
        assert_eq!(code, Some(0), "{stderr}");
        let packed = std::fs::read(&small).unwrap();
        assert!(packed.len() < export.text().len() / 2, "{} bytes", packed.len());
        let other = on_the_other_engine(db).await;
        for (name, cut) in [("cut.zst", packed.len() / 2), ("cut-late.zst", packed.len() - 5)] {
            std::fs::write(export.path(name), &packed[..cut]).unwrap();
            let (code, _, stderr) = gdmarket(&other, &["events", "import", &export.file(name)]);
            assert_eq!(code, Some(2), "{stderr}");
            assert!(stderr.contains("cut short"), "{stderr}");
        }
        let (code, _, stderr) = gdmarket(&other, &["events", "import", &small]);
        assert_eq!(code, Some(0), "{stderr}");
        assert_eq!(whole_log(&other).await, whole_log(db).await);
        let (code, _, stderr) = gdmarket(db, &["events", "export", &export.file("no/such/folder")]);
        assert_eq!(code, Some(1), "{stderr}");
        let mut unread = command(db, &["events", "export", "-"]);
        let mut unread = unread.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        drop(unread.stdout.take());
        assert_eq!(unread.wait().unwrap().code(), Some(1), "the pipe is closed");
    }

    /// Ctrl-C ends an export whose output isn't read; an export to a full disk reports that.
    async fn interrupted_export_claims_no_completeness(db: &TestDb) {
        let export = Export::of(db).await;
        db.write_long_items(100_000, 2_000).await;
        let mut tool = command(db, &["events", "export", "-"]);
        let tool = tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        handles_signals(&tool).await;
        send(&tool, "INT");
        let ended = tool.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(130), "{}", outcome_of(&ended).2);
        assert!(!outcome_of(&ended).1.contains("\"manifest\""), "the incomplete export has no manifest");
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = command(db, &["events", "export", "-"]).stdout(full).output().unwrap();
        let (code, _, stderr) = outcome_of(&ended);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains("can't be written") && stderr.contains("No space left"), "{stderr}");
        let (code, _, stderr) = gdmarket(db, &["events", "export", &export.file("whole.ndjson")]);
        assert_eq!(code, Some(0), "{stderr}");
    }

    /// `check` is run before a deployment.
    async fn check_finds_events_that_this_program_cannot_read(db: &TestDb) {
        let export = Export::of(db).await;
        let (code, stdout, stderr) = gdmarket(db, &["check", "--json"]);
        assert_eq!(code, Some(0), "{stderr}");
        let sound: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!((&sound["faults"], &sound["warnings"]), (&json!([]), &json!([])));
        assert_eq!(sound["events"], whole_log(db).await.len());
        let other = on_the_other_engine(db).await;
        let changed = export.changed("\"type\":\"LendingAuthorized\",\"version\":\"1\"", "\"type\":\"LendingAuthorized\",\"version\":\"2\"");
        let (code, _, stderr) = gdmarket(&other, &["events", "import", &changed]);
        assert_eq!(code, Some(0), "the store doesn't parse events: {stderr}");
        let (code, stdout, stderr) = gdmarket(&other, &["check", "--json"]);
        assert_eq!(code, Some(5), "{stderr}");
        let found: Value = serde_json::from_str(&stdout).unwrap();
        let codes: Vec<_> = found["faults"].as_array().unwrap().iter().map(|f| &f["code"]).collect();
        assert_eq!(codes, ["unreadable"], "{found}");
        assert!(found["faults"][0]["detail"].as_str().unwrap().contains("version 2 is newer"));
        let (code, stdout, stderr) = gdmarket(&other, &["check"]);
        assert_eq!(code, Some(5), "{stderr}");
        assert!(stdout.contains("fault unreadable: "), "{stdout}");
        assert!(stderr.contains("the check found 1 fault → docs/runbook.md"), "{stderr}");
    }

    /// The events can be read, but one in the middle of a stream is missing.
    async fn check_finds_streams_that_views_cannot_fold(db: &TestDb) {
        let _export = Export::of(db).await;
        let first = whole_log(db).await.into_iter().find(|event| event.stream.kind == "item").unwrap();
        let stream = format!("aggregate_type = 'item' AND aggregate_id = '{}'", first.stream.number);
        db.log_sql(&format!("DELETE FROM events WHERE {stream} AND sequence = 2")).await;
        let (code, stdout, stderr) = gdmarket(db, &["check", "--json"]);
        assert_eq!(code, Some(5), "{stderr}");
        let found: Value = serde_json::from_str(&stdout).unwrap();
        let faults = found["faults"].as_array().unwrap();
        let unfoldable = faults.iter().find(|fault| fault["code"] == "unfoldable").unwrap();
        let detail = unfoldable["detail"].as_str().unwrap();
        assert!(detail.contains("view item_info: sequence 3 came after 1"), "{detail}");
        let gap = format!("item/{}: sequence 3", first.stream.number);
        let gaps = faults.iter().filter(|fault| fault["code"] == "sequence-gap");
        assert!(gaps.into_iter().any(|fault| fault["detail"].as_str().unwrap().starts_with(&gap)), "{found}");
    }
}
