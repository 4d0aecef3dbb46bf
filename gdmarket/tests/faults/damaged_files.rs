//! Damaged, missing and read-only files: each is reported by name, with the next step and an exit code of its own,
//! and the tools read what is intact.

use gdmarket_testkit::{MarketClient, Server, ServerOptions, TestDb, free_port, run};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
const ENDS_WITHIN: Duration = Duration::from_secs(20);
const PAGE: u64 = 4096;

fn gdmarket(data: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).arg("--data-dir").arg(data).current_dir("/");
    exit_and_output(&command.output().unwrap())
}

fn exit_and_output(output: &Output) -> (Option<i32>, String) {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

fn serve(data: &Path) -> (Option<i32>, String) {
    gdmarket(data, &["serve", "--listen", &format!("127.0.0.1:{}", free_port())])
}

async fn end(server: &mut Server) {
    server.terminate().await;
    assert_eq!(server.wait(ENDS_WITHIN).await.code(), Some(0), "{}", server.stderr());
}

/// A market in a folder of its own, whose server has ended.
async fn stopped_market(items: usize) -> (TestDb, Server) {
    let db = TestDb::sqlite();
    let mut server = ServerOptions::new(PROGRAM).on(&db).start().await;
    let market = MarketClient::at(&server.url(""));
    for _ in 0..items {
        market.register(100).await;
    }
    end(&mut server).await;
    (db, server)
}

/// The first byte of a page that holds rows of a table, not the keys of an index.
const ROWS: u8 = 0x0D;

/// Overwrites pages in the middle third of a file: those that start with this byte, or all.
fn damage(file: &Path, first_byte: Option<u8>) {
    let pages = fs::metadata(file).unwrap().len() / PAGE;
    let opened = fs::File::options().read(true).write(true).open(file).unwrap();
    for page in pages / 3..pages * 2 / 3 {
        let mut first = [0];
        opened.read_exact_at(&mut first, page * PAGE).unwrap();
        if first_byte.is_none_or(|byte| first == [byte]) {
            opened.write_all_at(&[0xA5; 4096], page * PAGE).unwrap();
        }
    }
}

#[test]
fn damaged_log_is_reported_by_every_tool_and_refuses_commands() {
    run(async {
        let (db, mut server) = stopped_market(300).await;
        let data = db.folder().unwrap().to_owned();
        damage(&data.join("log.db"), Some(ROWS));
        let states = (1..=300)
            .step_by(20)
            .map(|number| gdmarket(&data, &["state", "item", &number.to_string()]));
        let failed: Vec<_> = states.filter(|(code, _)| *code != Some(0)).collect();
        assert!(!failed.is_empty(), "some of the streams are in the damaged part");
        for (code, output) in failed {
            assert_eq!(code, Some(5), "{output}");
            assert!(output.contains("log.db"), "{output}");
            assert!(!output.contains("database.url"), "{output}");
        }
        let (code, output) = gdmarket(&data, &["check"]);
        assert_eq!(code, Some(5), "{output}");
        server.restart().await;
        let market = MarketClient::at(&server.url(""));
        let body = json!({"itemPrice": 7});
        let mut refused = None;
        for number in 1..=300 {
            let path = format!("/items/{number}");
            match market.send(Method::PATCH, &path, Some(body.clone()), None).await {
                Ok(answer) if answer.status == 200 => {}
                other => {
                    refused = Some(other.map_or(500, |answer| answer.status));
                    break;
                }
            }
        }
        assert_eq!(refused, Some(500), "a repeated request wouldn't succeed");
        assert_eq!(server.wait(ENDS_WITHIN).await.code(), Some(5), "{}", server.stderr());
        let stderr = server.stderr();
        assert!(stderr.lines().last().unwrap().contains("log.db"), "{stderr}");
        // With damage in what a start reads, the start is refused.
        damage(&data.join("log.db"), None);
        let (code, output) = serve(&data);
        assert_eq!(code, Some(5), "{output}");
        assert!(output.contains("log.db") && !output.contains("database.url"), "{output}");
    });
}

#[test]
fn file_that_is_no_database_is_reported_with_the_next_step() {
    run(async {
        let (db, _server) = stopped_market(3).await;
        let data = db.folder().unwrap();
        for file in ["views.db", "log.db"] {
            fs::copy(data.join(file), data.join("kept")).unwrap();
            fs::write(data.join(file), vec![b'x'; 40_000]).unwrap();
            let (code, output) = serve(data);
            assert_eq!(code, Some(5), "{output}");
            assert!(output.contains(file) && output.contains(" → "), "{output}");
            fs::rename(data.join("kept"), data.join(file)).unwrap();
        }
        let length = fs::metadata(data.join("log.db")).unwrap().len();
        let log = fs::File::options().write(true).open(data.join("log.db")).unwrap();
        log.set_len(length / 2).unwrap();
        let (code, output) = serve(data);
        assert_eq!(code, Some(5), "{output}");
        assert!(output.contains("log.db is cut short"), "{output}");
    });
}

#[test]
fn unusable_data_folder_is_reported() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let (code, output) = serve(&file);
        assert_eq!(code, Some(1), "{output}");
        assert!(output.contains("file") && !output.contains("database.url"), "{output}");
        let data = folder.path().join("data");
        fs::create_dir_all(data.join("log.db")).unwrap();
        let (code, output) = serve(&data);
        assert_eq!(code, Some(1), "{output}");
        assert!(output.contains("log.db") && !output.contains("database.url"), "{output}");
    });
}

#[test]
fn data_folder_and_files_are_accessible_to_their_owner_only() {
    run(async {
        let above = tempfile::tempdir().unwrap();
        let data = above.path().join("market");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let mut server = ServerOptions::new(PROGRAM).data_dir(&data).start().await;
        MarketClient::at(&server.url("")).register(1).await;
        let assert_private = |data: &Path| {
            assert_eq!(mode(data), 0o700);
            let files = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
            let files: Vec<_> =
                files.filter(|path| path.to_string_lossy().contains(".db")).collect();
            assert_eq!(files.len(), 6, "{files:?}");
            assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
            assert_eq!(mode(&data.join("lock")), 0o600);
        };
        assert_private(&data);
        end(&mut server).await;
        // An older program created them with these modes.
        for (path, loose) in [("", 0o755), ("log.db", 0o644), ("views.db", 0o644), ("lock", 0o644)]
        {
            fs::set_permissions(data.join(path), fs::Permissions::from_mode(loose)).unwrap();
        }
        server.restart().await;
        assert_private(&data);
    });
}

/// A folder on a read-only mount, since root may write to every other folder.
struct ReadOnlyMount<'a>(&'a Path);

impl<'a> ReadOnlyMount<'a> {
    fn in_place(folder: &'a Path) -> Option<Self> {
        Self::of(folder, folder)
    }

    /// A second, read-only mount of a folder.
    fn of(folder: &Path, at: &'a Path) -> Option<Self> {
        let bound = Command::new("mount").arg("--bind").arg(folder).arg(at).output();
        if !bound.is_ok_and(|done| done.status.success()) {
            return None;
        }
        let mounted = Self(at);
        let fixed = Command::new("mount").args(["-o", "remount,bind,ro"]).arg(at).output();
        fixed.is_ok_and(|done| done.status.success()).then_some(mounted)
    }
}

impl Drop for ReadOnlyMount<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0).status());
    }
}

const READ_COMMANDS: [&[&str]; 7] = [
    &["check"],
    &["events", "list"],
    &["events", "stats"],
    &["events", "tail"],
    &["state", "item", "1"],
    &["trace", "reservation", "1"],
    &["events", "export", "-"],
];

#[test]
fn tools_read_without_views_and_from_a_read_only_copy() {
    run(async {
        let (db, mut server) = stopped_market(3).await;
        server.restart().await;
        MarketClient::at(&server.url("")).reserve(1, 7).await.expect(201);
        end(&mut server).await;
        let copy = tempfile::tempdir().unwrap();
        fs::copy(db.folder().unwrap().join("log.db"), copy.path().join("log.db")).unwrap();
        let read = |how: &str| {
            for arguments in READ_COMMANDS {
                let (code, output) = gdmarket(copy.path(), arguments);
                assert_eq!(code, Some(0), "{how} {arguments:?}: {output}");
            }
        };
        read("without views");
        fs::write(copy.path().join("views.db"), vec![b'x'; 9000]).unwrap();
        for arguments in READ_COMMANDS.into_iter().skip(1) {
            let (code, output) = gdmarket(copy.path(), arguments);
            assert_eq!(code, Some(0), "damaged views {arguments:?}: {output}");
        }
        let (code, output) = gdmarket(copy.path(), &["check"]);
        assert_eq!(code, Some(5), "{output}");
        assert!(output.contains("views.db"), "{output}");
        fs::remove_file(copy.path().join("views.db")).unwrap();
        let Some(_mounted) = ReadOnlyMount::in_place(copy.path()) else {
            println!("not run: making a folder read-only takes root");
            return;
        };
        read("read only");
        let (code, output) = serve(copy.path());
        assert_eq!(code, Some(1), "{output}");
        assert!(!output.contains("database.url") && output.contains(".db: "), "{output}");
    });
}

/// A container that may only read the folder of a running market sees this.
#[test]
fn tools_read_what_a_running_server_writes_through_a_read_only_mount() {
    run(async {
        let (db, mut server) = stopped_market(3).await;
        server.restart().await;
        let market = MarketClient::at(&server.url(""));
        let mount_point = tempfile::tempdir().unwrap();
        let Some(_mounted) = ReadOnlyMount::of(db.folder().unwrap(), mount_point.path()) else {
            println!("not run: making a folder read-only takes root");
            return;
        };
        for _ in 0..3 {
            let item = market.register(100).await;
            market.reserve(item, 7).await.expect(201);
            let (code, output) = gdmarket(mount_point.path(), &["events", "stats", "--json"]);
            assert_eq!(code, Some(0), "{output}");
            let shown: Value = serde_json::from_str(output.lines().next().unwrap()).unwrap();
            let events = db.log_number("SELECT count(*) FROM events").await;
            assert_eq!(shown["events"], json!(events), "the write-ahead log is read, too");
            for arguments in READ_COMMANDS {
                let (code, output) = gdmarket(mount_point.path(), arguments);
                assert_eq!(code, Some(0), "{arguments:?}: {output}");
            }
        }
    });
}

#[test]
fn archive_is_verified_without_a_database() {
    run(async {
        let (db, _server) = stopped_market(3).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log.ndjson");
        let name = file.to_str().unwrap().to_owned();
        let nowhere = folder.path().join("nowhere");
        let (code, output) = gdmarket(db.folder().unwrap(), &["events", "export", &name]);
        assert_eq!(code, Some(0), "{output}");
        let (code, output) = gdmarket(&nowhere, &["events", "verify", &name, "--json"]);
        assert_eq!(code, Some(0), "{output}");
        let shown: Value = serde_json::from_str(output.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&shown["gaps"], &shown["manifest"]["events"]),
            (&json!(0), &json!(6)),
            "{shown}"
        );
        assert!(!nowhere.exists(), "no database is created");
        let whole = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = whole.split_inclusive('\n').collect();
        for (what, text) in [
            ("changed", whole.replacen("100", "101", 1)),
            ("cut short", lines[..lines.len() - 1].concat()),
            ("a line lost", [&lines[..2], &lines[3..]].concat().concat()),
        ] {
            fs::write(&file, text).unwrap();
            let (code, output) = gdmarket(&nowhere, &["events", "verify", &name]);
            assert_eq!(code, Some(5), "{what}: {output}");
        }
    });
}

#[test]
fn export_of_a_log_with_a_gap_reports_the_gap() {
    run(async {
        let (db, mut server) = stopped_market(1).await;
        server.restart().await;
        let market = MarketClient::at(&server.url(""));
        for price in [2, 3] {
            let body = json!({"itemPrice": price});
            market.send(Method::PATCH, "/items/1", Some(body), None).await.unwrap().expect(200);
        }
        end(&mut server).await;
        db.log_sql("DELETE FROM events WHERE aggregate_type = 'item' AND sequence = 2").await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log.ndjson");
        let name = file.to_str().unwrap().to_owned();
        for command in [["events", "export", &name], ["events", "verify", &name]] {
            let (code, output) = gdmarket(db.folder().unwrap(), &command);
            assert_eq!(code, Some(5), "{output}");
            assert!(output.contains("item/1: sequences 2 to 2 are missing"), "{output}");
        }
        assert!(file.exists(), "the existing events are exported");
    });
}
