//! Files that don't belong together: a copy of the log next to the write-ahead log of before, views
//! without their log, the log of another market. Each is refused with the way out, and the way works.

use crate::kills::at_rest;
use crate::market::Market;
use gdmarket_testkit::{Server, ServerOptions, TestDb, free_port, run};
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

/// The exit code, and what it said.
fn told(output: &Output) -> (Option<i32>, String) {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

fn serve(data: &Path) -> (Option<i32>, String) {
    told(&gdmarket(data, &["serve", "--listen", &format!("127.0.0.1:{}", free_port())]))
}

async fn register(server: &Server, items: usize) {
    let market = Market::at(&server.url(""));
    for _ in 0..items {
        market.register(100).await;
    }
}

async fn items(server: &Server) -> usize {
    let page = Market::at(&server.url("")).get("/items?limit=500").await.expect(200).body;
    page["_embedded"]["items"].as_array().unwrap().len()
}

async fn end(server: &mut Server) {
    server.terminate().await;
    assert_eq!(server.wait(ENDS_WITHIN).await.code(), Some(0), "{}", server.stderr());
}

fn remove_left_over(data: &Path) {
    for file in ["log.db-wal", "log.db-shm"] {
        let _not_there = fs::remove_file(data.join(file));
    }
}

/// How a copy is put in place.
type Put = fn(&Path, &Path);

const WAYS: [Put; 3] = [
    |copy, log| {
        fs::copy(copy, log).unwrap();
    },
    // The times of the copy are kept, as `cp -p` does.
    |copy, log| {
        let kept = fs::metadata(copy).unwrap().modified().unwrap();
        fs::copy(copy, log).unwrap();
        fs::File::options().append(true).open(log).unwrap().set_modified(kept).unwrap();
    },
    |copy, log| fs::rename(copy, log).unwrap(),
];

#[test]
fn a_restore_next_to_an_old_write_ahead_log_is_refused_and_not_undone() {
    run(async {
        for (way, put) in WAYS.into_iter().enumerate() {
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
                put(&copy, &data.join("log.db"));

                let (code, said) = told(&gdmarket(&data, &["migrate", "--restored"]));
                assert_eq!(code, Some(5), "way {way}, {more}: {said}");
                assert!(said.contains("log.db-wal") && said.contains("--with-wal"), "{said}");
                remove_left_over(&data);
                let (code, said) = told(&gdmarket(&data, &["migrate", "--restored"]));
                assert_eq!(code, Some(0), "way {way}, {more}: {said}");
                server.restart().await;
                assert_eq!(items(&server).await, 20, "way {way}, {more}: exactly the copy");
                register(&server, 1).await;
                let (code, said) = told(&gdmarket(&data, &["check"]));
                assert_eq!(code, Some(0), "{said}");
            }
        }
    });
}

#[test]
fn a_start_refuses_a_write_ahead_log_that_is_older_than_the_log() {
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
        // Control: a process that died is no reason.
        server.restart().await;
        assert_eq!(items(&server).await, 25);
        register(&server, 5).await;
        server.kill().await;
        fs::copy(&copy, data.join("log.db")).unwrap();
        for (code, said) in [serve(&data), told(&gdmarket(&data, &["check"]))] {
            assert_eq!(code, Some(5), "{said}");
            assert!(said.contains("doesn't belong to"), "{said}");
        }
    });
}

/// A backup of a server that didn't end in order has a write-ahead log of its own.
#[test]
fn a_copy_with_its_own_write_ahead_log_is_restored_by_the_operators_word() {
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
        let (code, said) = told(&gdmarket(&copy, &["migrate", "--restored", "--with-wal"]));
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("ends at position"), "{said}");
        let restored = ServerOptions::new(PROGRAM).data_dir(&copy).start().await;
        assert_eq!(items(&restored).await, 7);
    });
}

#[test]
fn views_without_their_log_are_not_served() {
    run(async {
        for by in ["nothing", "an empty file", "another market"] {
            let db = TestDb::sqlite();
            let data = db.folder().unwrap().to_owned();
            let mut server = ServerOptions::new(PROGRAM).on(&db).start().await;
            register(&server, 3).await;
            at_rest(&Market::at(&server.url("")), &db).await;
            end(&mut server).await;
            let other = tempfile::tempdir().unwrap();
            let mut another = ServerOptions::new(PROGRAM).data_dir(other.path()).start().await;
            register(&another, 1).await;
            end(&mut another).await;
            fs::rename(data.join("log.db"), data.join("kept.db")).unwrap();
            match by {
                "nothing" => {}
                "an empty file" => fs::write(data.join("log.db"), "").unwrap(),
                _ => drop(fs::copy(other.path().join("log.db"), data.join("log.db")).unwrap()),
            }
            let (code, said) = serve(&data);
            assert_eq!(code, Some(1), "{by}: {said}");
            if by == "another market" {
                assert!(said.contains("gdmarket migrate --restored"), "{said}");
                let (code, said) = told(&gdmarket(&data, &["migrate", "--restored"]));
                assert_eq!(code, Some(0), "{said}");
                server.restart().await;
                assert_eq!(items(&server).await, 1, "views and managers are the other market's");
                let item = 1;
                let market = Market::at(&server.url(""));
                market.reserve(item, 7).await.expect(201);
            } else {
                assert!(
                    said.contains("log.db") && said.contains("put log.db back"),
                    "{by}: {said}"
                );
                let (code, said) = told(&gdmarket(&data, &["migrate", "--restored"]));
                assert_eq!(code, Some(1), "never an empty log next to old views: {said}");
                fs::rename(data.join("kept.db"), data.join("log.db")).unwrap();
                server.restart().await;
                assert_eq!(items(&server).await, 3);
            }
        }
    });
}

#[test]
fn views_that_are_missing_are_built_again_and_views_of_another_log_are_refused() {
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
        at_rest(&Market::at(&another.url("")), &other).await;
        end(&mut another).await;
        fs::copy(other.folder().unwrap().join("views.db"), data.join("views.db")).unwrap();
        let (code, said) = serve(&data);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("gdmarket migrate --restored"), "{said}");
        let (code, said) = told(&gdmarket(&data, &["migrate", "--restored"]));
        assert_eq!(code, Some(0), "{said}");
        server.restart().await;
        assert_eq!(items(&server).await, 3);
    });
}
