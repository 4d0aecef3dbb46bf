//! `gdmarket check` reads everything, and names damage of every kind.

use crate::command_line::{PROGRAM, errors};
use crate::tools::{Tools, register, send};
use gdmarket_testkit::{ServerOptions, TestDb, on_each_engine};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// Runs a check, and returns the exit code and the code and detail of each fault.
pub(crate) fn checked(tools: &Tools<'_>, line: &str) -> (Option<i32>, Vec<(String, String)>) {
    let output = tools.run(&format!("{line} --json"));
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no JSON: {}", errors(&output)));
    let faults = report["faults"].as_array().expect("faults").iter();
    let text = |fault: &Value, key: &str| fault[key].as_str().expect("text").to_owned();
    let faults = faults.map(|fault| (text(fault, "code"), text(fault, "detail"))).collect();
    (output.status.code(), faults)
}

/// Asserts that a check finds a fault of this code whose detail contains these words.
pub(crate) fn assert_found(tools: &Tools<'_>, code: &str, words: &[&str]) {
    let (exit, faults) = checked(tools, "check");
    assert_eq!(exit, Some(5), "{code}: {faults:?}");
    let is_it = |(of, detail): &(String, String)| {
        of == code && words.iter().all(|word| detail.contains(word))
    };
    assert!(faults.iter().any(is_it), "{code} {words:?}: {faults:?}");
}

/// The position of the last event.
pub(crate) async fn head(db: &TestDb) -> i64 {
    db.log_number("SELECT max(position) FROM events").await
}

/// The position of an item's event.
async fn position_of(db: &TestDb, item: i64, sequence: i64) -> i64 {
    db.log_number(&format!(
        "SELECT position FROM events WHERE aggregate_type = 'item' \
         AND aggregate_id = '{item}' AND sequence = {sequence}"
    ))
    .await
}

async fn set(db: &TestDb, column: &str, value: &str, position: i64) {
    db.log_sql(&format!("UPDATE events SET {column} = {value} WHERE position = {position}")).await;
}

on_each_engine! {
    async fn check_finds_damage_of_every_kind(db: &TestDb) {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        for _ in 0..3 {
            register(&server).await;
        }
        for number in 1..=9 {
            let name = json!({"itemName": format!("Camera {number}")});
            send(&server, Method::PATCH, "/items/1", name).await;
        }
        let body = json!({"customerName": "Song", "customerId": 9, "itemNo": 2});
        send(&server, Method::POST, "/reservations", body).await;
        server.terminate().await;
        assert_eq!(server.wait(SOON).await.code(), Some(0), "{}", server.stderr());
        assert_eq!(checked(&tools, "check"), (Some(0), vec![]), "control: nothing is damaged");
        assert_eq!(checked(&tools, "check --quick"), (Some(0), vec![]));

        let middle = position_of(db, 1, 4).await;
        let at = format!("position {middle}:");
        set(db, "metadata", "'[1]'", middle).await;
        assert_found(&tools, "metadata", &[&at, "item/1"]);
        set(db, "metadata", "'{}'", middle).await;

        let kept = "'{\"ItemChanged\":{\"itemNo\":1,\"itemName\":\"Camera 3\",\"itemPrice\":100}}'";
        for broken in ["'{}'", "'{\"ItemChanged\":{\"itemNo\":2,\"itemName\":\"x\",\"itemPrice\":1}}'"] {
            set(db, "payload", broken, middle).await;
            assert_found(&tools, "unreadable", &[&at, "item/1"]);
        }
        if db.folder().is_some() {
            set(db, "payload", "CAST(x'7bff' AS TEXT)", middle).await;
            assert_found(&tools, "unreadable", &[&at, "UTF-8"]);
        }
        set(db, "payload", kept, middle).await;
        assert_eq!(checked(&tools, "check"), (Some(0), vec![]), "repaired");

        // Views.
        db.views_sql("UPDATE view_item_info_v4 SET item_status = 'Odd' WHERE no = 3").await;
        assert_found(&tools, "view-differs", &["row 3"]);
        db.views_sql("UPDATE view_item_info_v4 SET doc = '{oops' WHERE no = 3").await;
        assert_found(&tools, "view-unreadable", &["row 3"]);
        db.views_sql("DROP TABLE view_item_info_v4").await;
        assert_found(&tools, "view-missing", &["view_item_info_v4"]);
        tools.text("views rebuild item-info");
        assert_eq!(checked(&tools, "check"), (Some(0), vec![]), "rebuilt");

        // A manager whose checkpoint is past an event without a reaction.
        db.log_sql(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
             payload, metadata) VALUES ('reservation', '50', 1, 'ReservationRequested', '1', \
             '{\"ReservationRequested\":{\"reservationNo\":50,\"itemNo\":3,\"renterId\":9,\"period\":null,\"askedOn\":\"2027-01-01\"}}', \
             '{}')",
        )
        .await;
        let head = head(db).await;
        db.views_sql(&format!("UPDATE checkpoints SET position = {head}")).await;
        assert_found(&tools, "reaction-missing", &[&format!("position {head}:"), "holding"]);

        if let Some(folder) = db.folder() {
            let file = OpenOptions::new().write(true).open(folder.join("views.db")).expect("the file");
            let length = file.metadata().expect("its length").len();
            for page in 2..length / 4096 {
                file.write_all_at(&[0xa5; 64], page * 4096).expect("written");
            }
            let output = tools.run("check");
            assert_eq!(output.status.code(), Some(5), "{}", errors(&output));
            let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), errors(&output));
            assert!(printed.contains("views.db"), "{printed}");
        }
    }
}
