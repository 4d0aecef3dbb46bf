//! `ETag` and `If-Match`, and what they guard.

use crate::app::app;
use serde_json::json;

#[tokio::test]
async fn a_write_on_an_old_version_is_refused() {
    let app = app().await;
    let item = app.camera().await;
    let path = format!("/items/{item}");
    let rename = |name: &str| app.patch(&path, json!({"itemName": name}));
    let answer = rename("Lens").header("if-match", "\"1\"").expect(200).await;
    assert_eq!(answer.header("etag"), "\"2\"");
    app.see(&path, "/itemName", json!("Lens")).await;
    let stale = rename("Tripod").header("if-match", "\"1\"").refused(412, "stale-version").await;
    assert_eq!(stale.header("etag"), "\"2\"");
    rename("Tripod").header("if-match", "W/\"2\"").refused(412, "stale-version").await;
    rename("Tripod").header("if-match", "2").refused(400, "bad-header").await;
    let current = app.get(&path).expect(200).await;
    assert_eq!(current.header("etag"), "\"2\"");
    assert_eq!(current.json()["itemName"], "Lens");
    rename("Tripod").header("if-match", "*").expect(200).await;
}

#[tokio::test]
async fn what_is_created_has_no_version_to_match() {
    let app = app().await;
    let head = app.market.head();
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    app.post("/items", camera).header("if-match", "*").refused(412, "stale-version").await;
    assert_eq!(app.market.head(), head);
}

#[tokio::test]
async fn deleting_by_post_is_deleting() {
    let app = app().await;
    let item = app.camera().await;
    let path = format!("/items/{item}");
    let delete = format!("{path}/delete");
    app.post(&delete, json!({})).header("if-match", "\"2\"").refused(412, "stale-version").await;
    app.post(&delete, json!({})).header("if-match", "\"1\"").expect(200).await;
    app.get(&path).refused(404, "item-not-found").await;
    app.post(&delete, json!({})).expect(200).await;
}
