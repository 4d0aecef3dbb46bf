//! Host, Origin, limits, health.

use crate::app::{app, app_with};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn only_callers_by_its_own_name_are_served() {
    let app = app().await;
    app.get("/items").header("host", "localhost:1234").expect(200).await;
    app.get("/items").header("host", "evil.example").refused(421, "misdirected-host").await;
    app.get("/livez").header("host", "evil.example").refused(421, "misdirected-host").await;
    app.get("/items").header("origin", "http://127.0.0.1:8080").expect(200).await;
    let head = app.market.head();
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    for origin in ["http://evil.example", "null", "http://127.0.0.1:9999"] {
        let call = app.post("/items", camera.clone()).header("origin", origin);
        call.refused(403, "foreign-origin").await;
    }
    assert_eq!(app.market.head(), head);
}

#[tokio::test]
async fn a_server_that_is_about_to_end_is_not_ready_but_alive() {
    let app = app().await;
    app.get("/readyz").expect(200).await;
    app.begin_the_end();
    let refused = app.get("/readyz").refused(503, "unavailable").await;
    assert_eq!(refused.header("retry-after"), "1");
    app.get("/livez").expect(200).await;
    app.get("/items").expect(200).await;
}

#[tokio::test]
async fn more_requests_than_it_can_take_are_told_to_come_back() {
    // The alarm takes its time, so the first request is surely under way when the second one comes.
    let app = app_with(&[("server.concurrency", "1"), ("alarm.delay_ms", "400")]).await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    let calls = (0..2).map(|_| app.post("/items", camera.clone()).send());
    let answers = futures::future::join_all(calls).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 503]);
    let shed = answers.iter().find(|answer| answer.status == 503).expect("one is refused");
    assert_eq!((shed.code().as_str(), shed.header("retry-after")), ("overloaded", "1"));
    app.get("/livez").expect(200).await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_in_time() {
    let app = app_with(&[("server.request_timeout_ms", "50"), ("alarm.delay_ms", "600")]).await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    let refused = app.post("/items", camera).refused(503, "timed-out").await;
    assert_eq!(refused.header("retry-after"), "1");
}

#[tokio::test]
async fn traces_are_carried_on() {
    let app = app().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let sent = format!("00-{trace}-00f067aa0ba902b7-01");
    let answer = app.get("/nowhere").header("traceparent", &sent).expect(404).await;
    assert_eq!(answer.json()["traceId"], trace);
    let carried = answer.header("traceparent");
    assert!(carried.starts_with(&format!("00-{trace}-")) && carried != sent, "{carried}");
    let fresh = app.get("/").expect(200).await;
    assert_eq!(fresh.header("traceparent").len(), 55);
}

#[tokio::test]
async fn methods_that_an_address_does_not_take_are_named() {
    let app = app().await;
    for (method, path, allowed) in [
        (Method::POST, "/payments", "GET,HEAD"),
        (Method::POST, "/alarms", "GET,HEAD"),
        (Method::POST, "/itemInfoes", "GET,HEAD"),
        (Method::PUT, "/items", "GET,HEAD,POST"),
        (Method::DELETE, "/reservations", "GET,HEAD,POST"),
    ] {
        let refused = app.call(method, path).refused(405, "method-not-allowed").await;
        let mut methods: Vec<_> = refused.header("allow").split(',').collect();
        methods.sort_unstable();
        assert_eq!(methods.join(","), allowed, "{path}");
    }
}
