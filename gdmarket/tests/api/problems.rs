//! Snapshots of whole problems, in both languages.

use crate::app::{Answer, app};
use insta::assert_json_snapshot;
use serde_json::json;

fn shown(answer: &Answer) -> serde_json::Value {
    let mut body = answer.json();
    assert_eq!(body["traceId"].as_str().map(str::len), Some(32));
    body["traceId"] = json!("[trace]");
    json!({
        "status": answer.status,
        "contentType": answer.header("content-type"),
        "contentLanguage": answer.header("content-language"),
        "body": body,
    })
}

macro_rules! snapshot {
    ($name:literal, $answer:expr) => {
        assert_json_snapshot!($name, shown(&$answer));
    };
}

#[tokio::test]
async fn refused_body_names_every_field_in_the_callers_language() {
    let app = app().await;
    let call =
        || app.post("/items", json!({"itemName": "", "itemPrice": 0, "colour": 1, "ownerId": "x"}));
    snapshot!("invalid_en", call().send().await);
    snapshot!("invalid_ko", call().header("accept-language", "ko-KR,ko;q=0.9").send().await);
}

#[tokio::test]
async fn malformed_json_is_refused_with_its_place() {
    let app = app().await;
    let call = app.call(http::Method::POST, "/items").bytes("{\"itemName\": Camera}");
    snapshot!("malformed_json", call.send().await);
}

#[tokio::test]
async fn conflict_says_what_to_do() {
    let app = app().await;
    let item = app.camera().await;
    app.reserved(item, 1).await;
    let reserve = || app.post("/reservations", json!({"itemNo": item, "customerId": 2}));
    snapshot!("item_taken_en", reserve().send().await);
    snapshot!("item_taken_ko", reserve().header("accept-language", "ko").send().await);
}

#[tokio::test]
async fn unknown_resources_and_methods_are_refused_with_the_path() {
    let app = app().await;
    snapshot!("item_not_found", app.get("/items/7").send().await);
    snapshot!("not_found", app.get("/nowhere").send().await);
    snapshot!("method_not_allowed", app.call(http::Method::PUT, "/items").send().await);
}
