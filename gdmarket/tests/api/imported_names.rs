//! Names in archives: a name that only earlier versions accepted is imported with a flag, shown unchanged by
//! the interface and escaped by the tools; a name that no version accepted is refused.

use crate::command_line::{PROGRAM, errors, folder};
use crate::tools::{Tools, send};
use gdmarket_testkit::{Engine, ServerOptions, TestDb, eventually, on_each_engine};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;

const FLAG: &str = "--accept-names-of-earlier-versions";
const SOON: Duration = Duration::from_secs(30);
/// Names with a zero-width space, which earlier versions accepted.
const OLD_ITEM: &str = "Cam\u{200b}era";
const OLD_CUSTOMER: &str = "Ki\u{200b}m";

/// A database on the other engine.
async fn on_other_engine(db: &TestDb) -> TestDb {
    match db.engine() {
        Engine::Sqlite => TestDb::postgres().await,
        Engine::Postgres => TestDb::sqlite(),
    }
}

/// An archive with personal data, of a market whose item and renter have these names, written as in JSON and
/// in SQL.
async fn archive_with_names(db: &TestDb, item: &str, customer: &str) -> (TempDir, String) {
    let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100, "ownerId": 7});
    send(&server, Method::POST, "/items", camera).await;
    let body = json!({"itemNo": 1, "customerId": 1, "customerName": "Kim"});
    send(&server, Method::POST, "/reservations", body).await;
    server.terminate().await;
    server.wait(SOON).await;
    let payload = format!("replace(CAST(payload AS TEXT), 'Camera', '{item}')");
    let payload = match db.engine() {
        Engine::Sqlite => payload,
        Engine::Postgres => format!("CAST({payload} AS JSON)"),
    };
    db.log_sql(&format!("UPDATE events SET payload = {payload}")).await;
    db.log_sql(&format!("UPDATE personal_names SET name = '{customer}' WHERE name = 'Kim'")).await;
    let folder = folder();
    let file = folder.path().join("market.ndjson").display().to_string();
    Tools { db }.text(&format!("events export {file} --with-personal-data"));
    (folder, file)
}

on_each_engine! {
    async fn names_of_earlier_versions_are_imported_with_the_flag(db: &TestDb) {
        let (_folder, file) = archive_with_names(db, OLD_ITEM, OLD_CUSTOMER).await;
        let other = on_other_engine(db).await;
        let into = Tools { db: &other };
        let (code, message) = into.refused(&format!("events import {file}"));
        assert_eq!(code, Some(2), "{message}");
        let field = "event 2 (item/1), payload.ItemRegistered.itemName: \
                     a name has no invisible character (U+200B)";
        assert!(message.contains(field) && message.contains(FLAG), "{message}");
        let report = into.json(&format!("events verify {file}"));
        assert!(report[0]["namesOfEarlierVersions"].as_u64().is_some_and(|lines| lines >= 2));
        let printed = errors(&into.run(&format!("events verify {file}")));
        assert!(printed.contains(FLAG), "{printed}");
        into.text(&format!("events import {file} {FLAG}"));
        await_old_names(&other).await;
        let listed = into.text("events list --item 1 --type ItemRegistered");
        assert!(listed.contains("Cam\\u200bera"), "escaped for people: {listed}");
        into.text("replay --all --verify");
        into.text("check");
    }
}

/// Waits until a server shows the old names.
async fn await_old_names(db: &TestDb) {
    let server = ServerOptions::new(PROGRAM).on(db).start().await;
    let get = async |path: &str| -> Value {
        let answer = reqwest::get(server.url(path)).await.expect("an answer");
        serde_json::from_str(&answer.text().await.expect("text")).expect("JSON")
    };
    eventually(SOON, || async {
        let (item, reservation) = (get("/items/1").await, get("/reservations/1").await);
        let names = (&item["itemName"], &reservation["customerName"]);
        if names == (&json!(OLD_ITEM), &json!(OLD_CUSTOMER)) {
            Ok(())
        } else {
            Err(format!("{item} {reservation}"))
        }
    })
    .await;
}

on_each_engine! {
    async fn names_that_no_version_accepted_are_refused_with_and_without_the_flag(db: &TestDb) {
        let long = "x".repeat(101);
        let event = "event 2 (item/1), payload.ItemRegistered.itemName: ";
        let customer = "the name of reservation/1: ";
        for (item, name, field) in [
            ("Cam\\u001b[2Jera", "Kim", event),
            (long.as_str(), "Kim", event),
            ("Camera", "Ki\u{1b}[2Jm", customer),
        ] {
            let source = match db.engine() {
                Engine::Sqlite => TestDb::sqlite(),
                Engine::Postgres => TestDb::postgres().await,
            };
            let (_folder, file) = archive_with_names(&source, item, name).await;
            let other = on_other_engine(&source).await;
            let into = Tools { db: &other };
            for (line, expected) in [
                (format!("events import {file}"), 2),
                (format!("events import {file} {FLAG}"), 2),
                (format!("events verify {file}"), 5),
            ] {
                let (code, message) = into.refused(&line);
                assert_eq!(code, Some(expected), "{line}: {message}");
                assert!(message.contains(field) && message.contains("line "), "{line}: {message}");
                assert!(message.contains('→') && !message.contains('\u{1b}'), "{line}: {message}");
                assert!(!message.contains(FLAG), "the flag wouldn't help: {message}");
            }
        }
    }
}
