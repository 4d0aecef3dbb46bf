//! SQLite's files are moved, removed, replaced or overwritten under a running server: it acknowledges no command that
//! a later start wouldn't find, and ends with the reason, even without requests.

use gdmarket_testkit::{MarketClient, Server, ServerOptions, TestDb, run};
use reqwest::Method;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
/// The longest until a server has noticed and ended.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// Changes the folder of a market, given the folders of an older copy and of another market.
type Fault = fn(&Path, &Path, &Path);

const FAULTS: [(&str, Fault); 10] = [
    ("log.db", |data, _, _| fs::rename(data.join("log.db"), data.join("away.db")).unwrap()),
    ("log.db", |data, _, _| fs::remove_file(data.join("log.db")).unwrap()),
    ("log.db", |data, older, _| {
        fs::copy(older.join("log.db"), data.join("new.db")).unwrap();
        fs::rename(data.join("new.db"), data.join("log.db")).unwrap();
    }),
    ("log.db", |data, _, other| {
        fs::rename(other.join("log.db"), data.join("log.db")).unwrap();
    }),
    ("log.db", |data, older, _| {
        fs::copy(older.join("log.db"), data.join("log.db")).unwrap();
    }),
    ("log.db", |data, _, other| {
        fs::copy(other.join("log.db"), data.join("log.db")).unwrap();
    }),
    ("log.db-wal", |data, _, _| fs::remove_file(data.join("log.db-wal")).unwrap()),
    ("views.db", |data, _, _| fs::remove_file(data.join("views.db")).unwrap()),
    ("views.db", |data, older, _| {
        fs::copy(older.join("views.db"), data.join("new.db")).unwrap();
        fs::rename(data.join("new.db"), data.join("views.db")).unwrap();
    }),
    ("log.db", |data, older, _| {
        fs::rename(data, data.with_extension("away")).unwrap();
        fs::create_dir(data).unwrap();
        for file in ["log.db", "views.db"] {
            fs::copy(older.join(file), data.join(file)).unwrap();
        }
    }),
];

/// Serves a market in `data`, with an older copy in `older` that lacks some of its items.
async fn server_with_older_copy(folder: &Path) -> Server {
    let data = folder.join("data");
    fs::create_dir(&data).unwrap();
    let mut server = ServerOptions::new(PROGRAM).data_dir(&data).start().await;
    register(&server, 2).await;
    end(&mut server).await;
    let older = folder.join("older");
    fs::create_dir(&older).unwrap();
    for file in ["log.db", "views.db"] {
        fs::copy(data.join(file), older.join(file)).unwrap();
    }
    server.restart().await;
    register(&server, 3).await;
    end(&mut server).await;
    server.restart().await;
    register(&server, 1).await;
    server
}

async fn make_other_market(folder: &Path) {
    let mut other = ServerOptions::new(PROGRAM).data_dir(folder).start().await;
    register(&other, 9).await;
    end(&mut other).await;
}

async fn register(server: &Server, items: usize) {
    let market = MarketClient::at(&server.url(""));
    for _ in 0..items {
        market.register(100).await;
    }
}

async fn end(server: &mut Server) {
    server.terminate().await;
    assert_eq!(server.wait(ENDS_WITHIN).await.code(), Some(0), "{}", server.stderr());
}

/// The server ends by itself and reports the file.
async fn ends_because_of(server: &mut Server, file: &str) {
    let code = server.wait(ENDS_WITHIN).await.code();
    let stderr = server.stderr();
    assert_eq!(code, Some(1), "{file}: {stderr}");
    let last = stderr.lines().last().unwrap_or_default();
    assert!(last.contains(file) && last.contains("this is not the log it was"), "{file}: {last}");
    assert!(!stderr.contains("waits for the database"), "that isn't the reason: {stderr}");
}

#[test]
fn server_acknowledges_nothing_once_a_file_is_replaced() {
    run(async {
        for (number, (file, fault)) in FAULTS.into_iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let mut server = server_with_older_copy(folder.path()).await;
            let other = folder.path().join("other");
            make_other_market(&other).await;
            let market = MarketClient::at(&server.url(""));
            fault(&folder.path().join("data"), &folder.path().join("older"), &other);
            let body = json!({"itemName": "Camera", "itemPrice": 1});
            let answer = market.send(Method::POST, "/items", Some(body), None).await;
            let status = answer.map(|answer| answer.status).unwrap_or_default();
            assert!(file == "views.db" || status == 0 || status >= 500, "{number}: {status}");
            ends_because_of(&mut server, file).await;
        }
    });
}

#[test]
fn idle_server_ends_once_its_log_is_replaced() {
    run(async {
        for (file, fault) in FAULTS.into_iter().take(5) {
            let folder = tempfile::tempdir().unwrap();
            let mut server = server_with_older_copy(folder.path()).await;
            let other = folder.path().join("other");
            make_other_market(&other).await;
            fault(&folder.path().join("data"), &folder.path().join("older"), &other);
            ends_because_of(&mut server, file).await;
        }
    });
}

/// A checkpoint at the end would write pages of the replaced log into the copy.
#[test]
fn ending_server_does_not_write_into_the_copy_in_its_place() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut server = server_with_older_copy(folder.path()).await;
        let (data, older) = (folder.path().join("data"), folder.path().join("older"));
        fs::copy(older.join("log.db"), data.join("log.db")).unwrap();
        let body = json!({"itemName": "Camera", "itemPrice": 1});
        let market = MarketClient::at(&server.url(""));
        drop(market.send(Method::POST, "/items", Some(body), None).await);
        ends_because_of(&mut server, "log.db").await;
        let is_unchanged =
            fs::read(data.join("log.db")).unwrap() == fs::read(older.join("log.db")).unwrap();
        assert!(is_unchanged, "the copy is unchanged");
    });
}

/// After a clean stop the market is in `log.db` alone.
#[test]
fn clean_stop_checkpoints_and_removes_the_write_ahead_logs() {
    run(async {
        let db = TestDb::sqlite();
        let folder = db.folder().unwrap().to_owned();
        let mut server = ServerOptions::new(PROGRAM).on(&db).start().await;
        for round in 0..8 {
            let market = MarketClient::at(&server.url(""));
            let rentals = (0..20).map(|_| async {
                let item = market.register(100).await;
                market.reserve(item, 7).await;
                market.get("/itemInfoes").await.expect(200);
            });
            futures::future::join_all(rentals).await;
            end(&mut server).await;
            for file in ["log.db-wal", "log.db-shm", "views.db-wal", "views.db-shm"] {
                let stderr = server.stderr();
                assert!(!folder.join(file).exists(), "round {round}: {file}: {stderr}");
            }
            server.restart().await;
        }
    });
}

/// Items whose log is too large for the page cache of a connection.
const MANY: usize = 400;

/// SQLite continues to read a file that was overwritten. The older copy lacks acknowledged resources, so an answer
/// that they don't exist would be wrong.
#[test]
fn acknowledged_resource_is_never_reported_missing_after_the_log_was_overwritten() {
    run(async {
        let db = TestDb::sqlite();
        let log = db.folder().unwrap().join("log.db");
        let mut server = ServerOptions::new(PROGRAM).on(&db).start().await;
        register(&server, MANY).await;
        let head = db.log_number("SELECT max(position) FROM events").await;
        let market = MarketClient::at(&server.url(""));
        let item = market.register(100).await;
        market.reserve(item, 7).await.expect(201);
        end(&mut server).await;
        // The copy has the same size, as logs have whose old receipts are removed; a smaller one counts as damaged.
        let older = db.copy().await;
        older.log_sql(&format!("DELETE FROM events WHERE position > {head}")).await;
        let older = fs::read(older.folder().unwrap().join("log.db")).unwrap();
        let newest = fs::read(&log).unwrap();
        for (method, path, body) in [
            (Method::PATCH, format!("/items/{item}"), Some(json!({"itemPrice": 7}))),
            (Method::POST, format!("/items/{item}/lend"), Some(json!({"reservationNo": 1}))),
            (Method::DELETE, format!("/items/{item}"), None),
            (Method::POST, "/reservations/1/payment".to_owned(), None),
            (Method::DELETE, "/reservations/1".to_owned(), None),
            (Method::GET, "/reservations/1/trace".to_owned(), None),
        ] {
            server.restart().await;
            fs::write(&log, &older).unwrap();
            let answer = market.send(method.clone(), &path, body, None).await;
            let status = answer.as_ref().map(|answer| answer.status).unwrap_or_default();
            assert!(status == 0 || status >= 500, "{method} {path}: {answer:?}");
            // The pages of both versions don't fit together, which may be noticed first.
            let code = server.wait(ENDS_WITHIN).await.code();
            assert!(matches!(code, Some(1 | 5)), "{method} {path}: {}", server.stderr());
            for file in ["log.db-wal", "log.db-shm"] {
                let _not_there = fs::remove_file(log.with_file_name(file));
            }
            fs::write(&log, &newest).unwrap();
        }
    });
}
