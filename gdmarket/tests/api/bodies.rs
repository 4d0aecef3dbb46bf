//! Bodies of requests and answers: codings, media types, byte order marks, numbers of fields and faults.

use crate::app::app;
use http::Method;
use serde_json::json;

#[tokio::test]
async fn bodies_have_one_of_three_media_types_and_no_coding() {
    let app = app().await;
    let camera =
        r#"{"itemName": "Camera", "itemPrice": 100, "_links": {"self": {"href": "/items/9"}}}"#;
    let post = || app.call(Method::POST, "/items").bytes(camera);
    for media_type in
        ["application/hal+json", "application/merge-patch+json", "application/JSON; charset=utf-8"]
    {
        post().header("content-type", media_type).expect(201).await;
    }
    post().header("content-encoding", "identity").expect(201).await;
    for coding in ["gzip", "identity, gzip", "br"] {
        let call = post().header("content-encoding", coding);
        let refused = call.refused(415, "unsupported-encoding").await;
        assert_eq!(refused.header("accept-encoding"), "identity");
    }
    let marked = app.call(Method::POST, "/items").bytes(format!("\u{feff}{camera}"));
    assert_eq!(marked.expect(201).await.json()["itemName"], "Camera");
}

#[tokio::test]
async fn at_most_twenty_faults_are_listed_and_the_others_counted() {
    let app = app().await;
    let fields = |count: usize| {
        let fields: Vec<_> = (0..count).map(|field| format!(r#""f{field}": 0"#)).collect();
        format!("{{{}}}", fields.join(","))
    };
    let post = |count| app.call(Method::POST, "/items").bytes(fields(count));
    let refused = post(60).refused(422, "invalid").await.json();
    assert_eq!(refused["errors"].as_array().map(Vec::len), Some(20));
    // The name and the price are missing, too.
    assert_eq!(refused["errorsOmitted"], 42);
    let few = post(1).refused(422, "invalid").await.json();
    assert_eq!(
        (few["errors"].as_array().map(Vec::len), &few["errorsOmitted"]),
        (Some(3), &json!(0))
    );
    let flood = post(5_000).refused(422, "invalid").await;
    assert_eq!(flood.json()["errors"][0]["code"], "too-many-fields");
    let query = format!("/items?{}", vec!["a"; 25_000].join("&"));
    let flood = app.get(&query).refused(422, "invalid").await;
    assert!(flood.text.len() < 10_000, "{} bytes", flood.text.len());
    assert_eq!(flood.json()["errors"][0]["code"], "too-many-fields");
}

#[tokio::test]
async fn names_follow_the_same_rule_in_every_request() {
    let app = app().await;
    let hidden = "a\u{202e}gpj.exe";
    app.post("/items", json!({"itemName": hidden, "itemPrice": 1})).refused(422, "invalid").await;
    let item = app.camera().await;
    let renamed = app.patch(&format!("/items/{item}"), json!({"itemName": "\u{3164}"}));
    let refused = renamed.refused(422, "invalid").await.json();
    assert_eq!(refused["errors"][0]["code"], "invisible-character");
    let reservation = json!({"itemNo": item, "customerId": 1, "customerName": "\u{200b}"});
    app.post("/reservations", reservation).refused(422, "invalid").await;
    let pieces =
        json!({"itemName": "\u{110f}\u{1161}\u{1106}\u{1166}\u{1105}\u{1161}", "itemPrice": 1});
    assert_eq!(app.post("/items", pieces).expect(201).await.json()["itemName"], "카메라");
}

#[tokio::test]
async fn large_answers_are_compressed_on_request() {
    let app = app().await;
    let plain = app.get("/openapi.json").expect(200).await;
    assert_eq!(plain.header("content-encoding"), "");
    let packed = app.get("/openapi.json").header("accept-encoding", "gzip").expect(200).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert_eq!(packed.header("etag"), format!("W/{}", plain.header("etag")));
    assert!(packed.text.len() < plain.text.len() / 2);
    let refusal = app.get("/items/1").header("accept-encoding", "gzip").expect(404).await;
    assert_eq!(refusal.header("content-encoding"), "");
    for accepted in ["identity", "gzip;q=0"] {
        let answer = app.get("/openapi.json").header("accept-encoding", accepted).expect(200).await;
        assert_eq!(answer.header("content-encoding"), "", "{accepted}");
    }
    let events = app.get("/events").header("accept-encoding", "gzip").expect(200).await;
    assert_eq!(events.header("content-encoding"), "");
    assert!(events.text.starts_with("retry:"), "{}", events.text);
}

#[tokio::test]
async fn documentation_is_cacheable() {
    let app = app().await;
    for path in
        ["/docs", "/openapi.json", "/docs/errors", "/docs/errors/invalid", "/docs/swagger-ui.css"]
    {
        let page = app.get(path).expect(200).await;
        assert_ne!(page.header("cache-control"), "", "{path}");
        let known = app.get(path).header("if-none-match", page.header("etag"));
        known.expect(304).await;
    }
}
