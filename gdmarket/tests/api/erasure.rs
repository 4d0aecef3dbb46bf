//! What is left of a name once it is erased: every file is searched for its bytes.

use crate::command_line::PROGRAM;
use crate::tools::{Tools, register, send};
use gdmarket_store::{Check, Store, StoreOptions};
use gdmarket_testkit::{PgCluster, Server, ServerOptions, TestDb};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const NAME: &str = "Gwendolyn-von-und-zu-Vergessen";

/// The files below a folder that hold the name.
fn holding(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(holding(&path));
        } else if fs::read(&path).is_ok_and(|bytes| has_name(&bytes)) {
            found.push(path);
        }
    }
    found
}

fn has_name(bytes: &[u8]) -> bool {
    bytes.windows(NAME.len()).any(|window| window == NAME.as_bytes())
}

/// A market with reservations of that name, one of them refused, and one as older programs kept it.
async fn named(db: &TestDb) -> Server {
    let server = ServerOptions::new(PROGRAM).on(db).start().await;
    for item in 1..=3 {
        register(&server).await;
        for (customer, name) in [(1, NAME), (1, NAME), (2, "Kim")].into_iter().take(item) {
            let wish = json!({"itemNo": item, "customerId": customer, "customerName": name});
            let call = reqwest::Client::new().post(server.url("/reservations")).json(&wish);
            call.send().await.expect("an answer");
        }
    }
    send(&server, Method::POST, "/reservations/1/cancel", json!({})).await;
    db.log_sql(&format!("INSERT INTO personal_data (person_id, name) VALUES (1, '{NAME}')")).await;
    server
}

fn erased(tools: &Tools<'_>) -> (Value, Vec<Value>) {
    let told = tools.json("persons erase 1 --yes");
    let remains = told[0]["remains"].as_array().cloned().unwrap_or_default();
    (told[0]["outcome"].clone(), remains.into_iter().map(|left| left["where"].clone()).collect())
}

#[test]
fn no_file_of_the_data_folder_holds_an_erased_name() {
    gdmarket_testkit::run(async {
        let db = TestDb::sqlite();
        let server = named(&db).await;
        let folder = db.folder().expect("a folder");
        assert!(!holding(folder).is_empty(), "control: it is there before");
        // Somebody reads the log as it is: what they see can't be taken away.
        let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
        let store = Store::open(&options).await.expect("the log");
        let reader = Check::begin(&store).await.expect("a snapshot");
        let tools = Tools { db: &db };
        assert_eq!(erased(&tools), (json!("erased"), vec![json!("log.db-wal")]));
        drop(reader);
        store.close().await;
        assert_eq!(erased(&tools), (json!("not-known"), vec![]));
        assert_eq!(holding(folder), Vec::<PathBuf>::new());
        drop(server);
    });
}

/// The tables' files and the planner's statistics; the server's own log is said to remain.
#[test]
fn no_file_of_a_cluster_but_its_log_holds_an_erased_name() {
    gdmarket_testkit::run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        let server = named(&db).await;
        db.log_sql("ANALYZE").await;
        db.log_sql("CHECKPOINT").await;
        let files = cluster.data_folder().join("base");
        assert!(!holding(&files).is_empty(), "control: it is there before");
        let tools = Tools { db: &db };
        let (outcome, remains) = erased(&tools);
        assert_eq!(outcome, "erased");
        assert_eq!(remains, ["PostgreSQL's write-ahead log and its archive"]);
        db.log_sql("CHECKPOINT").await;
        assert_eq!(holding(&files), Vec::<PathBuf>::new());
        drop(server);
    });
}
