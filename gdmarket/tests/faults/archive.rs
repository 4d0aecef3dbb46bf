//! A market moves from one engine to the other with the real program: it goes on where it was, what was
//! done is not done again, and an import that is killed or refused leaves nothing behind.

use crate::kills::{at_rest, gateway_book, whole_log};
use crate::market::Market;
use crate::views::everything;
use gdmarket_testkit::{Engine, Server, ServerOptions, TestDb, eventually, on_each_engine};
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

/// One of the program's commands on this database: its exit code and what it said.
pub(crate) fn gdmarket(db: &TestDb, arguments: &[&str]) -> (Option<i32>, String, String) {
    told(&command(db, arguments).output().unwrap())
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

async fn elsewhere(db: &TestDb) -> TestDb {
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

/// A folder with an exported log in which one reservation is paid and one has its time to pay.
struct Moved {
    folder: tempfile::TempDir,
    shown: Vec<Value>,
}

impl Moved {
    async fn out_of(db: &TestDb) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = serve(db).await;
        let market = Market::at(&server.url(""));
        let item = json!({"itemName": "Camera", "itemPrice": 100, "ownerId": 7});
        market.send(Method::POST, "/items", Some(item), Some("first")).await.unwrap().expect(201);
        market.register(200).await;
        market.reserve(1, 21).await.expect(201);
        market.reserve(2, 22).await.expect(201);
        market.pay(1).await.expect(200);
        at_rest(&market, db).await;
        let shown = everything(&market).await;
        let moved = Self { folder, shown };
        // Beside a running server, too.
        let (code, _, said) = gdmarket(db, &["events", "export", &moved.file("served.ndjson")]);
        assert_eq!(code, Some(0), "{said}");
        end(server).await;
        let file = moved.file("log.ndjson");
        let (code, out, said) =
            gdmarket(db, &["events", "export", &file, "--with-personal-data", "--json"]);
        assert_eq!(code, Some(0), "{said}");
        let summary: Value = serde_json::from_str(&out).unwrap();
        let events = i64::try_from(whole_log(db).await.len()).unwrap();
        assert_eq!(summary["manifest"]["events"], events);
        assert!(said.contains(&format!("{events} of {events}")), "{said}");
        moved
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

    /// The log under another name, changed, and sealed again as if it had been written so.
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

/// The tool listens to signals: it has opened more than its first files.
async fn has_begun(tool: &Child) {
    let wanted = format!("/proc/{}/status", tool.id());
    eventually(SOON, || async {
        let status = std::fs::read_to_string(&wanted).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap_or("0").trim(), 16).unwrap_or(0);
        // SIGINT is the second.
        if caught & 0b10 != 0 { Ok(()) } else { Err(status) }
    })
    .await;
}

fn send(tool: &Child, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &tool.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -s {signal}");
}

on_each_engine! {
    /// From one engine to the other: same answers, same numbers, nothing charged twice.
    async fn a_market_that_moved_goes_on_where_it_was(db: &TestDb) {
        let moved = Moved::out_of(db).await;
        let before = whole_log(db).await;
        let charges = gateway_book(db).await;
        assert_eq!(charges.len(), 1);
        let other = elsewhere(db).await;
        // Somebody had a look at the empty market: its views are built.
        end(serve(&other).await).await;
        let (code, out, said) =
            gdmarket(&other, &["events", "import", &moved.file("log.ndjson"), "--json"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(out.contains("\"epoch\":2"), "{out}");
        assert_eq!(whole_log(&other).await, before);
        let server = serve(&other).await;
        let market = Market::at(&server.url(""));
        eventually(SOON, || async {
            let shown = everything(&market).await;
            if shown == moved.shown { Ok(()) } else { Err(format!("{shown:?}")) }
        })
        .await;
        let item = json!({"itemName": "Camera", "itemPrice": 100, "ownerId": 7});
        let again = market.send(Method::POST, "/items", Some(item), Some("first")).await.unwrap();
        assert_eq!(again.expect(201).number("itemNo"), 1, "the key is known");
        assert_eq!(whole_log(&other).await.len(), before.len(), "nothing is reacted to again");
        assert_eq!(market.register(300).await, 3);
        assert_eq!(market.reserve(3, 23).await.expect(201).number("reservationNo"), 3);
        market.pay(3).await.expect(200);
        market.lend(1).await.expect(200);
        at_rest(&market, &other).await;
        let book = gateway_book(&other).await;
        assert_eq!(book[..1], charges);
        assert_eq!(book.len(), 2, "the new payment's, and no other");
        end(server).await;
        let (code, _, said) = gdmarket(&other, &["check"]);
        assert_eq!(code, Some(0), "{said}");
    }

    /// Killed at two places and once while it waits for the rest: empty every time, and imported then.
    async fn a_killed_import_leaves_a_log_that_can_be_imported_into(db: &TestDb) {
        let moved = Moved::out_of(db).await;
        let other = elsewhere(db).await;
        let file = moved.file("log.ndjson");
        let assert_empty = async |place: &str| {
            let store = whole_log(&other).await;
            assert_eq!(store.len(), 0, "{place}");
        };
        let places: &[&str] = match other.engine() {
            Engine::Sqlite => &["import.events", "import.views"],
            Engine::Postgres => &["import.events"],
        };
        for place in places {
            let mut import = command(&other, &["events", "import", &file]);
            let ended = import.env("FAILPOINTS", format!("{place}=return")).output().unwrap();
            assert_eq!(ended.status.code(), None, "{place}: {:?}", told(&ended));
            assert_empty(place).await;
        }
        for (signal, expected) in [("KILL", None), ("INT", Some(130))] {
            let mut import = command(&other, &["events", "import", "-"]);
            let mut import = import.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let text = moved.text();
            let mut pipe = import.stdin.take().unwrap();
            pipe.write_all(&text.as_bytes()[..text.len() - 100]).unwrap();
            pipe.flush().unwrap();
            has_begun(&import).await;
            send(&import, signal);
            // The pipe is still open: it ends all the same.
            let ended = import.wait_with_output().unwrap();
            assert_eq!(ended.status.code(), expected, "{:?}", told(&ended));
            drop(pipe);
            assert_empty(signal).await;
        }
        let (code, _, said) = gdmarket(&other, &["events", "import", &file]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(whole_log(&other).await, whole_log(db).await);
    }

    /// Each with its exit code, one clear line and the next step; the log stays empty.
    async fn what_an_import_refuses_it_says(db: &TestDb) {
        let moved = Moved::out_of(db).await;
        let other = elsewhere(db).await;
        let refused = |db: &TestDb, file: &str, expected: i32, part: &str| {
            let (code, out, said) = gdmarket(db, &["events", "import", file]);
            assert_eq!((code, out.as_str()), (Some(expected), ""), "{said}");
            assert!(said.contains(part), "{said}");
            assert!(said.contains("→"), "{said}");
        };
        let text = moved.text();
        let write = |name: &str, text: &str| {
            std::fs::write(moved.path(name), text).unwrap();
            moved.file(name)
        };
        refused(&other, &moved.file("nowhere"), 2, "can't be read");
        refused(&other, &write("cut", &text[..text.len() / 2]), 2, "cut short");
        refused(&other, &write("byte", &text.replacen("Camera", "Camerb", 1)), 2, "hash chain");
        refused(&other, &write("newer", &text.replacen("\"version\":2", "\"version\":7", 1)), 2, "version 7");
        refused(&other, &write("other", "{}\n"), 2, "no archive");
        refused(db, &moved.file("log.ndjson"), 2, "not empty");
        let away = ["events", "import", &moved.file("log.ndjson"), "--database-url", "postgres://postgres@127.0.0.1:1/x"];
        let away = Command::new(PROGRAM).args(away).output().unwrap();
        assert_eq!(away.status.code(), Some(3), "{:?}", told(&away));
        let server = serve(&other).await;
        refused(&other, &moved.file("log.ndjson"), 1, "in use");
        end(server).await;
        assert_eq!(whole_log(&other).await.len(), 0);
        let (code, _, said) = gdmarket(&other, &["events", "import", &moved.file("log.ndjson")]);
        assert_eq!(code, Some(0), "{said}");
    }

    /// An export never overwrites by itself, is whole or not there, and goes to a pipe as well.
    async fn an_export_is_whole_or_not_there(db: &TestDb) {
        let moved = Moved::out_of(db).await;
        let file = moved.file("log.ndjson");
        let (code, _, said) = gdmarket(db, &["events", "export", &file]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("--force"), "{said}");
        assert!(moved.text().contains("\"person\""));
        std::fs::write(moved.path("log.ndjson.part"), "left by a killed one").unwrap();
        let (code, out, said) = gdmarket(db, &["events", "export", &file, "--force"]);
        assert_eq!((code, out.as_str()), (Some(0), ""), "{said}");
        assert!(!moved.text().contains("\"person\""), "names only when asked for");
        assert!(!moved.path("log.ndjson.part").exists());
        let (code, out, _) = gdmarket(db, &["events", "export", "-"]);
        assert_eq!((code, out), (Some(0), moved.text()));
        let small = moved.file("small.zst");
        let (code, _, said) = gdmarket(db, &["events", "export", &small]);
        assert_eq!(code, Some(0), "{said}");
        let packed = std::fs::read(&small).unwrap();
        assert!(packed.len() < moved.text().len() / 2, "{} bytes", packed.len());
        let other = elsewhere(db).await;
        for (name, cut) in [("cut.zst", packed.len() / 2), ("cut-late.zst", packed.len() - 5)] {
            std::fs::write(moved.path(name), &packed[..cut]).unwrap();
            let (code, _, said) = gdmarket(&other, &["events", "import", &moved.file(name)]);
            assert_eq!(code, Some(2), "{said}");
            assert!(said.contains("cut short"), "{said}");
        }
        let (code, _, said) = gdmarket(&other, &["events", "import", &small]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(whole_log(&other).await, whole_log(db).await);
        let (code, _, said) = gdmarket(db, &["events", "export", &moved.file("no/such/folder")]);
        assert_eq!(code, Some(1), "{said}");
        let mut stuck = command(db, &["events", "export", "-"]);
        let mut stuck = stuck.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        drop(stuck.stdout.take());
        assert_eq!(stuck.wait().unwrap().code(), Some(1), "nobody takes it");
    }

    /// Ctrl-C ends an export that nobody takes, a full disk is told, and neither leaves a file.
    async fn an_export_that_is_cut_short_leaves_nothing(db: &TestDb) {
        let moved = Moved::out_of(db).await;
        db.write_long_items(100_000, 2_000).await;
        let mut export = command(db, &["events", "export", "-"]);
        let export = export.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        has_begun(&export).await;
        send(&export, "INT");
        let ended = export.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(130), "{}", told(&ended).2);
        assert!(!told(&ended).1.contains("\"manifest\""), "it isn't whole and doesn't say so");
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = command(db, &["events", "export", "-"]).stdout(full).output().unwrap();
        let (code, _, said) = told(&ended);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("can't be written") && said.contains("No space left"), "{said}");
        let (code, _, said) = gdmarket(db, &["events", "export", &moved.file("whole.ndjson")]);
        assert_eq!(code, Some(0), "{said}");
    }

    /// What no program can read is found before a deploy, and so is what contradicts itself.
    async fn check_finds_what_this_program_can_not_read(db: &TestDb) {
        let moved = Moved::out_of(db).await;
        let (code, out, said) = gdmarket(db, &["check", "--json"]);
        assert_eq!(code, Some(0), "{said}");
        let sound: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&sound["faults"], &sound["warnings"]), (&json!([]), &json!([])));
        assert_eq!(sound["events"], whole_log(db).await.len());
        let other = elsewhere(db).await;
        let changed = moved.changed("\"type\":\"LendingAuthorized\",\"version\":\"1\"", "\"type\":\"LendingAuthorized\",\"version\":\"2\"");
        let (code, _, said) = gdmarket(&other, &["events", "import", &changed]);
        assert_eq!(code, Some(0), "the store reads no events: {said}");
        let (code, out, said) = gdmarket(&other, &["check", "--json"]);
        assert_eq!(code, Some(5), "{said}");
        let found: Value = serde_json::from_str(&out).unwrap();
        let codes: Vec<_> = found["faults"].as_array().unwrap().iter().map(|f| &f["code"]).collect();
        assert_eq!(codes, ["unreadable"], "{found}");
        assert!(found["faults"][0]["detail"].as_str().unwrap().contains("version 2 is newer"));
        let (code, out, said) = gdmarket(&other, &["check"]);
        assert_eq!(code, Some(5), "{said}");
        assert!(out.contains("fault unreadable: "), "{out}");
        assert!(said.contains("the check found 1 fault → docs/runbook.md"), "{said}");
    }

    /// Events that can be read, but that a view can't make a row of: one before them is gone.
    async fn check_finds_streams_that_views_can_not_fold(db: &TestDb) {
        let _moved = Moved::out_of(db).await;
        let first = whole_log(db).await.into_iter().find(|event| event.stream.kind == "item").unwrap();
        let stream = format!("aggregate_type = 'item' AND aggregate_id = '{}'", first.stream.number);
        db.log_sql(&format!("DELETE FROM events WHERE {stream} AND sequence = 2")).await;
        let (code, out, said) = gdmarket(db, &["check", "--json"]);
        assert_eq!(code, Some(5), "{said}");
        let found: Value = serde_json::from_str(&out).unwrap();
        let faults = found["faults"].as_array().unwrap();
        let unfoldable = faults.iter().find(|fault| fault["code"] == "unfoldable").unwrap();
        let detail = unfoldable["detail"].as_str().unwrap();
        assert!(detail.contains("view item_info: sequence 3 came after 1"), "{detail}");
        let gap = format!("item/{}: sequence 3", first.stream.number);
        let gaps = faults.iter().filter(|fault| fault["code"] == "sequence-gap");
        assert!(gaps.into_iter().any(|fault| fault["detail"].as_str().unwrap().starts_with(&gap)), "{found}");
    }
}
