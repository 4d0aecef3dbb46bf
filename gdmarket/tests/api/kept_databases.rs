//! Databases that an earlier version wrote (`tests/fixtures/<version>`, made by `scripts/keep-database`):
//! this version opens them, verifies them, gives the same answers, and continues.

use crate::command_line::PROGRAM;
use crate::tools::{Tools, send};
use flate2::read::GzDecoder;
use gdmarket_testkit::{Server, ServerOptions, TestDb, on_each_engine};
use reqwest::{Client, Method};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::Read;
use std::path::Path;

const VERSION: &str = "0.1.0";

fn kept(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(VERSION);
    let file = File::open(folder.join(format!("{name}.gz"))).expect("a kept file");
    let mut content = Vec::new();
    GzDecoder::new(file).read_to_end(&mut content).expect("gzip");
    content
}

/// Puts the kept database into the empty place of a test.
async fn restore(db: &TestDb) {
    match db.folder() {
        Some(folder) => {
            for name in ["log.db", "views.db"] {
                std::fs::write(folder.join(name), kept(name)).expect("writing a file");
            }
        }
        None => db.log_sql(&String::from_utf8(kept("database.sql")).expect("text")).await,
    }
}

fn kept_answers() -> Map<String, Value> {
    let answers = include_str!("../fixtures/0.1.0/answers.json");
    serde_json::from_str(answers).expect("JSON")
}

/// The tables of views that the kept version had.
const EARLIER: [&str; 4] =
    ["view_alarms_v1", "view_item_info_v3", "view_payments_v2", "view_reservations_v2"];

/// The state that the kept version's program would continue from: sums over its tables, and its checkpoints.
async fn earlier_rows(db: &TestDb) -> Vec<i64> {
    let mut all = vec![];
    for table in EARLIER {
        let subscription = table.trim_start_matches("view_");
        for sql in [
            format!("SELECT CAST(sum(sequence) AS bigint) FROM {table}"),
            format!("SELECT count(*) FROM {table} WHERE status IS NOT NULL"),
            format!("SELECT position FROM checkpoints WHERE subscription = '{subscription}'"),
        ] {
            all.push(db.views_number(&sql).await);
        }
    }
    all
}

async fn answer(server: &Server, path: &str) -> Value {
    let call = Client::new().get(server.url(path)).header("accept", "application/json");
    call.send().await.expect("an answer").json().await.expect("JSON")
}

async fn assert_same_answers(server: &Server, when: &str) {
    for (path, kept) in kept_answers() {
        assert_eq!(answer(server, &path).await, kept, "{path} {when}");
    }
}

on_each_engine! {
    async fn database_of_an_earlier_version_opens_verifies_and_continues(db: &TestDb) {
        restore(db).await;
        let tools = Tools { db };
        tools.text("migrate");
        tools.text("check");
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        assert_same_answers(&server, "as they were").await;
        continue_market(&server).await;
        tools.text("replay item-info --verify");
        server.restart().await;
        let item = answer(&server, "/items/1").await;
        assert_eq!(item["rentalStatus"], "NotRenting", "after a restart: {item}");
        assert_eq!(item["reservationNo"], 7, "after a restart: {item}");
        drop(server);
        tools.text("check");
    }

    /// A program of the earlier version may still serve: its tables stay as they are, while this version
    /// builds tables of its own and answers from them.
    async fn tables_of_an_earlier_version_stay_unchanged_while_new_ones_are_built(db: &TestDb) {
        restore(db).await;
        let mut earlier = db.view_tables().await;
        earlier.sort();
        assert_eq!(earlier, EARLIER, "{VERSION} had these tables");
        let before = earlier_rows(db).await;
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        assert_same_answers(&server, "from tables of its own").await;
        continue_market(&server).await;
        let tables = db.view_tables().await;
        assert_eq!(tables.len(), 2 * EARLIER.len(), "{tables:?}");
        assert_eq!(earlier_rows(db).await, before, "rows and checkpoints that an earlier program reads");
        let priced = "SELECT count(*) FROM view_item_info_v4 WHERE item_price > 0 AND item_status <> ''";
        assert_eq!(db.views_number(priced).await, 6, "five items and the new one");
    }

    async fn views_of_an_earlier_version_can_be_rebuilt(db: &TestDb) {
        restore(db).await;
        db.forget_views().await;
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        assert_same_answers(&server, "after a rebuild").await;
    }
}

/// Ends the open rentals, and checks that new numbers follow the old ones.
async fn continue_market(server: &Server) {
    send(server, Method::POST, "/items/1/return", json!({})).await;
    send(server, Method::POST, "/reservations/2/cancel", json!({})).await;
    let ladder = json!({"itemName": "Ladder", "itemPrice": 1_000});
    let item = send(server, Method::POST, "/items", ladder).await;
    assert_eq!(item["itemNo"], 6, "the number after the last one used");
    let body = json!({"itemNo": 1, "customerId": 2, "customerName": "YoungEunSong"});
    let reservation = send(server, Method::POST, "/reservations", body).await;
    assert_eq!(reservation["reservationNo"], 7, "the number after the last one used");
    send(server, Method::POST, "/reservations/7/payment", json!({})).await;
}
