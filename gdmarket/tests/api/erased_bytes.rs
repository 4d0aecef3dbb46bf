//! After a name is erased no file contains its bytes.

use crate::command_line::PROGRAM;
use crate::tools::{Tools, register, send};
use gdmarket_store::{Check, Store, StoreOptions};
use gdmarket_testkit::{PgCluster, Server, ServerOptions, TestDb};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const NAME: &str = "Gwendolyn-von-und-zu-Vergessen";

/// The files below a folder that contain the name.
fn files_with_name(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_with_name(&path));
        } else if fs::read(&path).is_ok_and(|bytes| has_name(&bytes)) {
            found.push(path);
        }
    }
    found
}

fn has_name(bytes: &[u8]) -> bool {
    bytes.windows(NAME.len()).any(|window| window == NAME.as_bytes())
}

/// A market with reservations of that name, one of them refused, and one name in the table of older programs.
async fn market_with_name(db: &TestDb) -> Server {
    let server = ServerOptions::new(PROGRAM).on(db).start().await;
    for item in 1..=3 {
        register(&server).await;
        for (customer, name) in [(1, NAME), (1, NAME), (2, "Kim")].into_iter().take(item) {
            let body = json!({"itemNo": item, "customerId": customer, "customerName": name});
            let call = reqwest::Client::new().post(server.url("/reservations")).json(&body);
            call.send().await.expect("an answer");
        }
    }
    send(&server, Method::POST, "/reservations/1/cancel", json!({})).await;
    db.log_sql(&format!("INSERT INTO personal_data (person_id, name) VALUES (1, '{NAME}')")).await;
    server
}

/// Erases the names of person 1, and returns the outcome and the places that still contain them.
fn erase(tools: &Tools<'_>) -> (Value, Vec<Value>) {
    let report = tools.json("persons erase 1 --yes");
    let remains = report[0]["remains"].as_array().cloned().unwrap_or_default();
    (report[0]["outcome"].clone(), remains.into_iter().map(|left| left["where"].clone()).collect())
}

#[test]
fn no_file_of_the_data_folder_contains_an_erased_name() {
    gdmarket_testkit::run(async {
        let db = TestDb::sqlite();
        let server = market_with_name(&db).await;
        let folder = db.folder().expect("a folder");
        assert!(!files_with_name(folder).is_empty(), "control: the name is stored");
        // A reader holds a snapshot, and the name stays in it.
        let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
        let store = Store::open(&options).await.expect("the log");
        let reader = Check::begin(&store).await.expect("a snapshot");
        let tools = Tools { db: &db };
        assert_eq!(erase(&tools), (json!("erased"), vec![json!("log.db-wal")]));
        drop(reader);
        store.close().await;
        assert_eq!(erase(&tools), (json!("not-known"), vec![]));
        assert_eq!(files_with_name(folder), Vec::<PathBuf>::new());
        drop(server);
    });
}

/// Searches the files of tables and statistics; the write-ahead log is reported as a remaining place.
#[test]
fn no_file_of_a_cluster_but_its_log_contains_an_erased_name() {
    gdmarket_testkit::run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        let server = market_with_name(&db).await;
        db.log_sql("ANALYZE").await;
        db.log_sql("CHECKPOINT").await;
        let files = cluster.data_folder().join("base");
        assert!(!files_with_name(&files).is_empty(), "control: the name is stored");
        let tools = Tools { db: &db };
        let (outcome, remains) = erase(&tools);
        assert_eq!(outcome, "erased");
        assert_eq!(remains, ["PostgreSQL's write-ahead log and its archive"]);
        db.log_sql("CHECKPOINT").await;
        assert_eq!(files_with_name(&files), Vec::<PathBuf>::new());
        drop(server);
    });
}
