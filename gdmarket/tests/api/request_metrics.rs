//! Metrics and log lines of requests: refusals before a route is chosen, waiting requests, limits of the log.

use crate::app::{App, app, app_with};
use crate::command_line::PROGRAM;
use gdmarket_testkit::{ServerOptions, eventually};
use http::Method;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(10);

async fn metrics(app: &App) -> String {
    app.get("/metrics").expect(200).await.text
}

#[tokio::test]
async fn refusals_before_routing_are_counted() {
    let app = app().await;
    app.get("/items").header("host", "evil.example").refused(421, "misdirected-host").await;
    app.get("/nowhere").refused(404, "not-found").await;
    let invented = Method::from_bytes(b"STEAL").expect("a method");
    app.call(invented, "/items").refused(501, "not-implemented").await;
    let large = app.call(Method::POST, "/items").bytes("{}").header("content-length", "99999999");
    large.refused(413, "body-too-large").await;
    let slow = app_with(&[("server.request_timeout_ms", "50"), ("alarm.delay_ms", "600")]).await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    slow.post("/items", camera).refused(503, "timed-out").await;
    let metrics = metrics(&app).await;
    for (method, route, status) in [
        ("GET", "none", 421),
        ("GET", "none", 404),
        ("other", "none", 501),
        ("POST", "none", 413),
        ("POST", "/items", 503),
    ] {
        let counted = format!(
            "gdmarket_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"
        );
        assert!(metrics.contains(&counted), "{counted} is missing");
    }
}

/// A payment occupies the only place to wait while reads are sent.
#[tokio::test]
async fn read_of_applied_events_needs_no_place_to_wait() {
    let settings = [
        ("server.waiting", "1"),
        ("payment.delay_ms", "20000"),
        ("payment.answer_within_ms", "20000"),
    ];
    let app = app_with(&settings).await;
    let item = app.camera().await;
    let reservation = app.reserved(item, 1).await;
    let seen = app.post("/items", json!({"itemName": "Lens", "itemPrice": 1})).expect(201).await;
    let token = seen.header("gdmarket-at").to_owned();
    app.get(&format!("/items?at_least={token}")).expect(200).await;
    let paying = async {
        let path = format!("/reservations/{reservation}/payment");
        app.call(Method::POST, &path).send().await
    };
    let reading = async {
        app.see("/payments/1", "/status", json!("Pending")).await;
        app.get(&format!("/items?at_least={token}")).expect(200).await;
        // The views apply this within milliseconds, but not before the read arrives.
        eventually(SOON, || async {
            let lens = json!({"itemName": "Lens", "itemPrice": 1});
            let new = app.post("/items", lens).header("prefer", "respond-async").expect(201).await;
            let path = format!("/items?at_least={}", new.header("gdmarket-at"));
            let answer = app.get(&path).send().await;
            if answer.status == 503 { Ok(answer) } else { Err(answer.status) }
        })
        .await
    };
    let refused = tokio::select! {
        refused = reading => refused,
        paid = paying => panic!("paid before: {}", paid.status),
    };
    assert_eq!(refused.code(), "overloaded");
    let metrics = metrics(&app).await;
    let counted =
        metrics.lines().find(|line| line.starts_with("gdmarket_http_waits_refused_total"));
    let count = counted.and_then(|line| line.split(' ').nth(1)?.parse::<f64>().ok());
    assert!(count.is_some_and(|count| count >= 1.0), "{counted:?}");
}

#[test]
fn waiting_requests_are_not_counted_as_in_flight() {
    gdmarket_testkit::run(async {
        let options = ServerOptions::new(PROGRAM)
            .variable("GDMARKET__PAYMENT__DELAY_MS", "3000")
            .variable("GDMARKET__PAYMENT__ANSWER_WITHIN_MS", "25000");
        let server = options.start().await;
        let client = reqwest::Client::new();
        let post = |path: &str, body: &str| {
            let call = client.post(server.url(path)).header("content-type", "application/json");
            call.body(body.to_owned()).send()
        };
        let item = post("/items", r#"{"itemName": "Camera", "itemPrice": 100}"#).await;
        assert_eq!(item.expect("an answer").status(), 201);
        let reserved = post("/reservations", r#"{"itemNo": 1, "customerId": 1}"#).await;
        assert_eq!(reserved.expect("an answer").status(), 201);
        let paying = tokio::spawn(post("/reservations/1/payment", "{}"));
        eventually(SOON, || async {
            let text = reqwest::get(server.url("/metrics")).await.map_err(|e| e.to_string())?;
            let text = text.text().await.map_err(|e| e.to_string())?;
            let is_counted = text.contains("gdmarket_http_requests_waiting 1\n")
                && text.contains("gdmarket_http_requests_in_flight 0\n");
            if is_counted { Ok(()) } else { Err(text) }
        })
        .await;
        assert_eq!(paying.await.expect("a task").expect("an answer").status(), 200);
    });
}

#[test]
fn log_lines_about_refused_requests_are_limited() {
    gdmarket_testkit::run(async {
        let server = ServerOptions::new(PROGRAM).start().await;
        let started = Instant::now();
        for _ in 0..40 {
            let answer = reqwest::get(server.url("/nowhere")).await.expect("an answer");
            assert_eq!(answer.status(), 404);
        }
        assert_eq!(reqwest::get(server.url("/items/x")).await.expect("an answer").status(), 404);
        let of = |code: &str| {
            let line = |line: &&str| line.contains("request refused") && line.contains(code);
            server.stderr().lines().filter(line).count()
        };
        // The line of another code is written although the first code has used up its lines.
        eventually(SOON, || async {
            let lines = (of("\"not-found\""), of("item-not-found"));
            if lines.1 == 1 { Ok(()) } else { Err(lines) }
        })
        .await;
        let periods = usize::try_from(started.elapsed().as_secs() / 10).expect("a number") + 1;
        let lines = of("\"not-found\"");
        assert!((20..=20 * periods).contains(&lines), "{lines} lines in {periods} periods");
    });
}
