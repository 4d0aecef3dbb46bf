//! The request pipeline: host and origin, limits, time-outs, health, traces, headers of every answer.

use crate::app::{App, app, app_with};
use gdmarket_testkit::{TestDb, eventually};
use http::Method;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn only_requests_for_an_allowed_host_and_origin_are_served() {
    let app = app().await;
    app.get("/items").header("host", "localhost:1234").expect(200).await;
    app.get("/items").header("host", "evil.example").refused(421, "misdirected-host").await;
    for path in ["/livez", "/readyz", "/metrics"] {
        app.get(path).header("host", "evil.example").expect(200).await;
        app.get(path).without("host").expect(200).await;
    }
    let nameless = app.get("/items").without("host").refused(400, "bad-header").await;
    assert_eq!(nameless.fields(), ["Host"]);
    let twice = app.get("/items").line("host", crate::app::HOST);
    twice.refused(400, "bad-header").await;
    app.get("http://evil.example/items").refused(421, "misdirected-host").await;
    app.get("http://127.0.0.1:8080/items").expect(200).await;
    app.get("/items").header("origin", "http://127.0.0.1:8080").expect(200).await;
    let head = app.market.head();
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    for origin in ["http://evil.example", "null", "http://127.0.0.1:9999"] {
        let call = app.post("/items", camera.clone()).header("origin", origin);
        call.refused(403, "foreign-origin").await;
    }
    let own = app.post("/items", camera).header("origin", "http://127.0.0.1:8080");
    own.line("origin", "http://evil.example").refused(400, "bad-header").await;
    assert_eq!(app.market.head(), head);
}

#[tokio::test]
async fn draining_server_is_alive_and_not_ready() {
    let app = app().await;
    app.get("/readyz").expect(200).await;
    app.start_draining();
    let refused = app.get("/readyz").refused(503, "unavailable").await;
    assert_eq!(refused.header("retry-after"), "1");
    app.get("/livez").expect(200).await;
    app.get("/items").expect(200).await;
}

#[tokio::test]
async fn request_beyond_the_limit_is_refused_with_retry_after() {
    // The alarm is slow, so the first request is in flight when the second one arrives.
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
async fn waiting_requests_leave_their_places_to_others() {
    let db = TestDb::sqlite();
    let app =
        App::without_subscriptions(&db, &[("server.concurrency", "1"), ("server.waiting", "1")])
            .await;
    app.camera().await;
    let reserve =
        |customer: i64| app.post("/reservations", json!({"itemNo": 1, "customerId": customer}));
    let started = Instant::now();
    let first = async {
        reserve(1).expect(202).await;
        started.elapsed()
    };
    let others = async {
        // While the first one works there is no place; while it waits there is.
        eventually(Duration::from_secs(4), || async {
            let camera = json!({"itemName": "Camera", "itemPrice": 100});
            let answer = app.post("/items", camera).header("prefer", "respond-async").send().await;
            if answer.status == 201 { Ok(()) } else { Err(answer.status) }
        })
        .await;
        reserve(2).expect(202).await;
        started.elapsed()
    };
    let (first, others) = tokio::join!(first, others);
    assert!(first > Duration::from_secs(4), "the request waited: {first:?}");
    assert!(others < first, "no other request waited: {others:?}");
}

#[tokio::test]
async fn request_that_takes_too_long_is_answered_in_time() {
    let app = app_with(&[("server.request_timeout_ms", "50"), ("alarm.delay_ms", "600")]).await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    let refused = app.post("/items", camera).refused(503, "timed-out").await;
    assert_eq!(refused.header("retry-after"), "1");
}

#[tokio::test]
async fn traceparent_is_continued() {
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
async fn options_lists_the_methods_of_an_address() {
    let app = app().await;
    for (path, allowed) in [
        ("/items", "GET,HEAD,OPTIONS,POST"),
        ("/items/1", "DELETE,GET,HEAD,OPTIONS,PATCH"),
        ("/items/1/lend/", "OPTIONS,POST"),
        ("/livez", "GET,HEAD,OPTIONS"),
    ] {
        let answer = app.call(Method::OPTIONS, path).expect(204).await;
        let mut methods: Vec<_> = answer.header("allow").split(',').collect();
        methods.sort_unstable();
        assert_eq!((methods.join(",").as_str(), answer.text.as_str()), (allowed, ""), "{path}");
    }
    app.call(Method::OPTIONS, "/nowhere").refused(404, "not-found").await;
}

#[tokio::test]
async fn unknown_methods_are_not_labels_of_metrics() {
    let app = app().await;
    for method in ["STEAL", "STEAL2", &"X".repeat(5_000)] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        app.call(method, "/items").refused(501, "not-implemented").await;
    }
    let metrics = app.get("/metrics").expect(200).await;
    assert!(!metrics.text.contains("STEAL") && !metrics.text.contains("XXX"));
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let app = app().await;
    let answers = [
        app.get("/items").send().await,
        app.get("/nowhere").send().await,
        app.get("/items").header("host", "evil.example").send().await,
        app.call(Method::OPTIONS, "/items").send().await,
        app.get("/docs").send().await,
        app.get("/metrics").send().await,
    ];
    for answer in answers {
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
    }
}

#[tokio::test]
async fn anonymous_caller_beyond_loopback_writes_nothing_and_sees_no_names() {
    let open = [("server.listen", "0.0.0.0:8080"), ("server.allow_open", "true")];
    let app = app_with(&open).await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    let head = app.market.head();
    app.post("/items", camera.clone()).refused(401, "actor-required").await;
    assert_eq!(app.market.head(), head);
    app.post("/items", camera).actor("owner:7").expect(201).await;
    let reservation = json!({"itemNo": 1, "customerId": 1, "customerName": "YoungEunSong"});
    app.post("/reservations", reservation).actor("renter:1").expect(201).await;
    app.see("/reservations/1", "/status", json!("Reserved")).await;
    app.see("/itemInfoes/1", "/customerId", json!(1)).await;
    let own = app.get("/reservations/1").actor("renter:1").expect(200).await;
    assert_eq!(own.json()["customerName"], "YoungEunSong");
    app.get("/items/1").expect(200).await;
    for path in ["/reservations/1", "/itemInfoes/1"] {
        let shown = app.get(path).expect(200).await.json();
        assert_eq!(shown["customerName"], json!(null), "{path}");
    }
    app.get("/reservations/1/trace").refused(403, "wrong-actor").await;
    app.get("/events").refused(403, "wrong-actor").await;
    app.call(Method::POST, "/items/1/delete").refused(401, "actor-required").await;
}

#[tokio::test]
async fn refused_method_is_answered_with_the_allowed_ones() {
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
