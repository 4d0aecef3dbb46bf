//! Conditional requests: `ETag`, `If-Match` and `If-None-Match`.

use crate::app::{Answer, app};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn write_on_an_old_version_is_refused() {
    let app = app().await;
    let item = app.camera().await;
    let path = format!("/items/{item}");
    let rename = |name: &str| app.patch(&path, json!({"itemName": name}));
    let answer = rename("Lens").header("if-match", "\"1\"").expect(200).await;
    assert!(answer.header("etag").starts_with("\"2."), "{}", answer.header("etag"));
    app.see(&path, "/itemName", json!("Lens")).await;
    let stale = rename("Tripod").header("if-match", "\"1\"").refused(412, "stale-version").await;
    assert_eq!(stale.header("etag"), "\"2\"");
    rename("Tripod").header("if-match", "2").refused(400, "bad-header").await;
    let current = app.get(&path).expect(200).await;
    assert_eq!(current.header("etag"), answer.header("etag"), "the same representation");
    assert_eq!(current.json()["itemName"], "Lens");
    rename("Tripod").header("if-match", "*").expect(200).await;
    for (name, sent) in [("A", "\"99\", \"3\""), ("B", "W/\"4\""), ("C", "\"a,b\" ,, \"5.x\"")] {
        rename(name).header("if-match", sent).expect(200).await;
    }
    rename("D").header("if-match", "\"98\", \"99\"").refused(412, "stale-version").await;
    rename("D").line("if-match", "\"99\"").line("if-match", "\"6\"").expect(200).await;
}

#[tokio::test]
async fn known_representation_is_not_sent_again() {
    let app = app().await;
    let item = app.camera().await;
    app.reserved(item, 1).await;
    app.see("/reservations/1", "/status", json!("Reserved")).await;
    app.see(&format!("/itemInfoes/{item}"), "/customerId", json!(1)).await;
    for path in
        [format!("/items/{item}"), "/reservations/1".to_owned(), "/itemInfoes/1/".to_owned()]
    {
        let seen = app.get(&path).expect(200).await;
        let etag = seen.header("etag");
        for known in
            [etag.to_owned(), format!("W/{etag}"), format!("\"9\", {etag}"), "*".to_owned()]
        {
            let same = app.get(&path).header("if-none-match", &known).expect(304).await;
            assert_eq!((same.text.as_str(), same.header("etag")), ("", etag), "{path} {known}");
        }
        let version = etag.split('.').next().expect("a version");
        for other in [format!("{version}.0\""), format!("{version}\""), "no tag".to_owned()] {
            app.get(&path).header("if-none-match", &other).expect(200).await;
        }
        app.get(&path).header("if-match", "\"99\"").refused(412, "stale-version").await;
        app.get(&path).header("if-match", etag).expect(200).await;
    }
}

#[tokio::test]
async fn write_whose_if_none_match_matches_is_refused() {
    let app = app().await;
    let item = app.camera().await;
    let path = format!("/items/{item}");
    app.see(&path, "/itemNo", json!(item)).await;
    let etag = app.get(&path).expect(200).await.header("etag").to_owned();
    let head = app.market.head();
    let price = |price: i64| app.patch(&path, json!({"itemPrice": price}));
    for excluded in ["*", &etag, &format!("W/{etag}")] {
        let call = price(2).header("if-none-match", excluded);
        call.refused(412, "precondition-failed").await;
        let call = app.delete(&path).header("if-none-match", excluded);
        call.refused(412, "precondition-failed").await;
    }
    assert_eq!(app.market.head(), head);
    price(2).header("if-none-match", "\"1.0\", \"1\"").expect(200).await;
    price(3).header("if-none-match", &etag).expect(200).await;
    let keyed = || price(4).key("k").header("if-none-match", "\"1.0\"").expect(200);
    let (first, again) = (keyed().await, keyed().await);
    assert_eq!(again.header("etag"), first.header("etag"));
    assert_eq!(again.text, first.text);
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    app.post("/items", camera).header("if-none-match", "*").expect(201).await;
}

#[tokio::test]
async fn creation_with_if_match_is_refused() {
    let app = app().await;
    let head = app.market.head();
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    app.post("/items", camera).header("if-match", "*").refused(412, "stale-version").await;
    assert_eq!(app.market.head(), head);
}

#[tokio::test]
async fn post_to_delete_deletes_the_item() {
    let app = app().await;
    let item = app.camera().await;
    let path = format!("/items/{item}");
    let delete = format!("{path}/delete");
    app.post(&delete, json!({})).header("if-match", "\"2\"").refused(412, "stale-version").await;
    app.post(&delete, json!({})).header("if-match", "\"1\"").expect(200).await;
    app.get(&path).refused(404, "item-not-found").await;
    app.post(&delete, json!({})).expect(200).await;
}

/// All lines of a header.
fn all(answer: &Answer, name: &str) -> Vec<String> {
    let lines = answer.headers.get_all(name).iter();
    lines.map(|line| line.to_str().expect("text").to_lowercase()).collect()
}

#[tokio::test]
async fn answers_to_head_and_304_have_the_headers_of_the_whole_answer() {
    let app = app().await;
    let (camera, name) = ("카메라".repeat(33), "가".repeat(100));
    app.post("/items", json!({"itemName": camera, "itemPrice": 100})).expect(201).await;
    let reservation = json!({"itemNo": 1, "customerId": 1, "customerName": name});
    app.post("/reservations", reservation).expect(201).await;
    app.see("/reservations/1", "/status", json!("Reserved")).await;
    for path in
        ["/reservations/1", "/openapi.json", "/docs", "/docs/errors", "/docs/swagger-ui.css"]
    {
        let any = app.get(path).expect(200).await;
        assert!(all(&any, "vary").join(",").contains("accept-encoding"), "{path}");
        for coding in ["gzip", "identity"] {
            let get = || app.get(path).header("accept-encoding", coding);
            let whole = get().expect(200).await;
            let is_packed = path != "/docs" && coding == "gzip";
            let packed = if is_packed { "gzip" } else { "" };
            let etag = whole.header("etag").to_owned();
            assert_eq!(
                (whole.header("content-encoding"), etag.starts_with("W/")),
                (packed, is_packed),
                "{path}"
            );
            let known = get().header("if-none-match", &etag).expect(304).await;
            assert_eq!(known.header("content-encoding"), "", "{path}");
            let head = app.call(Method::HEAD, path).header("accept-encoding", coding);
            let head = head.send_undocumented().await;
            assert_eq!(head.header("content-encoding"), packed, "{path}");
            for name in ["etag", "vary", "cache-control"] {
                assert_eq!(all(&known, name), all(&whole, name), "{name} of {path} as {coding}");
                assert_eq!(all(&head, name), all(&whole, name), "{name} of {path} as {coding}");
            }
        }
    }
}

#[tokio::test]
async fn collection_varies_by_coding() {
    let app = app().await;
    for _ in 0..5 {
        app.camera().await;
    }
    app.see("/items/5", "/itemNo", json!(5)).await;
    for coding in ["gzip", "identity"] {
        let answer = app.get("/items").header("accept-encoding", coding).expect(200).await;
        let vary = all(&answer, "vary").join(",");
        assert_eq!(answer.header("content-encoding") == "gzip", coding == "gzip");
        for name in ["accept", "x-gdmarket-actor", "accept-encoding"] {
            assert!(vary.split(',').any(|part| part.trim() == name), "{name}: {vary}");
        }
    }
}
