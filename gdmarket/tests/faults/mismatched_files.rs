//! Files that don't belong together: a copy of the log next to a newer write-ahead log, views without their log, the
//! log of another market. Each is refused with the next step, and that step works.

use crate::idle::wait_until_idle;
use gdmarket_testkit::{MarketClient, Server, ServerOptions, TestDb, free_port, run};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
const ENDS_WITHIN: Duration = Duration::from_secs(20);

fn gdmarket(data: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).arg("--data-dir").arg(data).current_dir("/");
    command.output().unwrap()
}

/// The exit code, and stdout with stderr.
fn exit_and_output(output: &Output) -> (Option<i32>, String) {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

fn serve(data: &Path) -> (Option<i32>, String) {
    exit_and_output(&gdmarket(data, &["serve", "--listen", &format!("127.0.0.1:{}", free_port())]))
}

async fn register(server: &Server, items: usize) {
    let market = MarketClient::at(&server.url(""));
    for _ in 0..items {
        market.register(100).await;
    }
}

async fn items(server: &Server) -> usize {
    let page = MarketClient::at(&server.url("")).get("/items?limit=500").await.expect(200).body;
    page["_embedded"]["items"].as_array().unwrap().len()
}

async fn end(server: &mut Server) {
    server.terminate().await;
    assert_eq!(server.wait(ENDS_WITHIN).await.code(), Some(0), "{}", server.stderr());
}

fn remove_wal(data: &Path) {
    for file in ["log.db-wal", "log.db-shm"] {
        let _not_there = fs::remove_file(data.join(file));
    }
}

/// Puts a copy in the place of the log.
type Restore = fn(&Path, &Path);

const RESTORES: [Restore; 3] = [
    |copy, log| {
        fs::copy(copy, log).unwrap();
    },
    // Keeps the times of the copy, as `cp -p` does.
    |copy, log| {
        let modified = fs::metadata(copy).unwrap().modified().unwrap();
        fs::copy(copy, log).unwrap();
        fs::File::options().append(true).open(log).unwrap().set_modified(modified).unwrap();
    },
    |copy, log| fs::rename(copy, log).unwrap(),
];

#[test]
fn restore_next_to_a_newer_write_ahead_log_is_refused_and_keeps_the_copy() {
    run(async {
        for (way, restore) in RESTORES.into_iter().enumerate() {
            for more in [5, 300] {
                let folder = tempfile::tempdir().unwrap();
                let (data, copy) = (folder.path().join("data"), folder.path().join("copy.db"));
                let mut server = ServerOptions::new(PROGRAM).data_dir(&data).start().await;
                register(&server, 20).await;
                end(&mut server).await;
                fs::copy(data.join("log.db"), &copy).unwrap();
                server.restart().await;
                register(&server, more).await;
                server.kill().await;
                restore(&copy, &data.join("log.db"));

                let (code, output) = exit_and_output(&gdmarket(&data, &["migrate", "--restored"]));
                assert_eq!(code, Some(5), "way {way}, {more}: {output}");
                assert!(output.contains("log.db-wal") && output.contains("--with-wal"), "{output}");
                remove_wal(&data);
                let (code, output) = exit_and_output(&gdmarket(&data, &["migrate", "--restored"]));
                assert_eq!(code, Some(0), "way {way}, {more}: {output}");
                server.restart().await;
                assert_eq!(items(&server).await, 20, "way {way}, {more}: exactly the copy");
                register(&server, 1).await;
                let (code, output) = exit_and_output(&gdmarket(&data, &["check"]));
                assert_eq!(code, Some(0), "{output}");
            }
        }
    });
}

#[test]
fn start_refuses_a_write_ahead_log_that_does_not_belong_to_the_log() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (data, copy) = (folder.path().join("data"), folder.path().join("copy.db"));
        let mut server = ServerOptions::new(PROGRAM).data_dir(&data).start().await;
        register(&server, 20).await;
        end(&mut server).await;
        fs::copy(data.join("log.db"), &copy).unwrap();
        server.restart().await;
        register(&server, 5).await;
        server.kill().await;
        // Control: the write-ahead log of a killed process is accepted.
        server.restart().await;
        assert_eq!(items(&server).await, 25);
        register(&server, 5).await;
        server.kill().await;
        fs::copy(&copy, data.join("log.db")).unwrap();
        for (code, output) in [serve(&data), exit_and_output(&gdmarket(&data, &["check"]))] {
            assert_eq!(code, Some(5), "{output}");
            assert!(output.contains("doesn't belong to"), "{output}");
        }
    });
}

/// A backup of a server that was killed has a write-ahead log of its own.
#[test]
fn copy_with_its_own_write_ahead_log_is_restored_with_the_flag() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
        let mut server = ServerOptions::new(PROGRAM).data_dir(&data).start().await;
        register(&server, 7).await;
        server.kill().await;
        fs::create_dir(&copy).unwrap();
        for file in ["log.db-wal", "log.db"] {
            fs::copy(data.join(file), copy.join(file)).unwrap();
        }
        let (code, output) =
            exit_and_output(&gdmarket(&copy, &["migrate", "--restored", "--with-wal"]));
        assert_eq!(code, Some(0), "{output}");
        assert!(output.contains("ends at position"), "{output}");
        let restored = ServerOptions::new(PROGRAM).data_dir(&copy).start().await;
        assert_eq!(items(&restored).await, 7);
    });
}

#[test]
fn views_without_their_log_are_not_served() {
    run(async {
        for replacement in ["nothing", "an empty file", "another market"] {
            let db = TestDb::sqlite();
            let data = db.folder().unwrap().to_owned();
            let mut server = ServerOptions::new(PROGRAM).on(&db).start().await;
            register(&server, 3).await;
            wait_until_idle(&MarketClient::at(&server.url("")), &db).await;
            end(&mut server).await;
            let other = tempfile::tempdir().unwrap();
            let mut another = ServerOptions::new(PROGRAM).data_dir(other.path()).start().await;
            register(&another, 1).await;
            end(&mut another).await;
            fs::rename(data.join("log.db"), data.join("kept.db")).unwrap();
            match replacement {
                "nothing" => {}
                "an empty file" => fs::write(data.join("log.db"), "").unwrap(),
                _ => drop(fs::copy(other.path().join("log.db"), data.join("log.db")).unwrap()),
            }
            let (code, output) = serve(&data);
            assert_eq!(code, Some(1), "{replacement}: {output}");
            if replacement == "another market" {
                assert!(output.contains("gdmarket migrate --restored"), "{output}");
                let (code, output) = exit_and_output(&gdmarket(&data, &["migrate", "--restored"]));
                assert_eq!(code, Some(0), "{output}");
                server.restart().await;
                assert_eq!(items(&server).await, 1, "the views are those of the other market");
                let item = 1;
                let market = MarketClient::at(&server.url(""));
                market.reserve(item, 7).await.expect(201);
            } else {
                assert!(
                    output.contains("log.db") && output.contains("put log.db back"),
                    "{replacement}: {output}"
                );
                let (code, output) = exit_and_output(&gdmarket(&data, &["migrate", "--restored"]));
                assert_eq!(code, Some(1), "never an empty log next to old views: {output}");
                fs::rename(data.join("kept.db"), data.join("log.db")).unwrap();
                server.restart().await;
                assert_eq!(items(&server).await, 3);
            }
        }
    });
}

#[test]
fn missing_views_are_rebuilt_and_views_of_another_log_are_refused() {
    run(async {
        let db = TestDb::sqlite();
        let data = db.folder().unwrap().to_owned();
        let mut server = ServerOptions::new(PROGRAM).on(&db).start().await;
        register(&server, 3).await;
        end(&mut server).await;
        fs::remove_file(data.join("views.db")).unwrap();
        server.restart().await;
        assert_eq!(items(&server).await, 3);
        end(&mut server).await;
        let other = TestDb::sqlite();
        let mut another = ServerOptions::new(PROGRAM).on(&other).start().await;
        register(&another, 1).await;
        wait_until_idle(&MarketClient::at(&another.url("")), &other).await;
        end(&mut another).await;
        fs::copy(other.folder().unwrap().join("views.db"), data.join("views.db")).unwrap();
        let (code, output) = serve(&data);
        assert_eq!(code, Some(1), "{output}");
        assert!(output.contains("gdmarket migrate --restored"), "{output}");
        let (code, output) = exit_and_output(&gdmarket(&data, &["migrate", "--restored"]));
        assert_eq!(code, Some(0), "{output}");
        server.restart().await;
        assert_eq!(items(&server).await, 3);
    });
}
