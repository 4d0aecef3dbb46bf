//! Which headers pass: those that the interface documents, and none that says who a caller is.

use super::raw::send;
use super::stub::FourStubs;
use gdmarket_testkit::Gateway;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// The header that a caller without a log-in says who it is with.
const ACTOR: &str = "x-gdmarket-actor";

/// What nginx and the services need in addition to the documented headers.
const OTHERS: &[&str] = &[
    "accept",
    "accept-encoding",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "origin",
    "tracestate",
];

/// The headers of the interface, in lower case.
fn documented() -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut found = BTreeSet::new();
    collect(&document, &mut found);
    assert!(found.contains(ACTOR) && found.len() > 5, "{found:?}");
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if fields.get("in").is_some_and(|place| place == "header") {
                found.extend(fields["name"].as_str().map(str::to_lowercase));
            }
            fields.values().for_each(|value| collect(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn headers_that_say_who_calls_never_reach_a_service() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    let forged = "X-Gdmarket-Actor: operator:forged\r\nx-gdmarket-actor: owner:forged\r\n\
                  X_Gdmarket_Actor: forged\r\nX-Gdmarket-Service: forged\r\n\
                  Gdmarket-Service-Token: forged\r\nAuthorization: Bearer forged\r\n\
                  Proxy-Authorization: forged\r\nCookie: session=forged\r\nX-User: forged\r\n\
                  X-Forwarded-User: forged\r\nX-Forwarded-For: forged\r\nForwarded: for=forged\r\n\
                  X-Real-IP: forged\r\nX-Original-URL: /forged\r\nX-Rewrite-URL: /forged\r\n\
                  X-Http-Method-Override: FORGED\r\nGdmarket-Timeout-Ms: 1\r\n\
                  X-Envoy-Expected-Rq-Timeout-Ms: 1\r\nTE: trailers\r\nUpgrade: forged\r\n\
                  X-Anything-Else: forged\r\n";
    for request in [
        "GET /items",
        "POST /items",
        "DELETE /items/1",
        "GET /events?itemNo=1",
        "GET /services/item/readyz",
        "GET /capabilities",
    ] {
        let body = if request.starts_with("POST") { "{}" } else { "" };
        assert_eq!(send(&gateway, request, forged, body).await.status, 200, "{request}");
    }
    let mut known = documented();
    known.remove(ACTOR);
    known.extend(OTHERS.iter().map(|name| (*name).to_owned()));
    let seen = stubs.item.seen();
    assert_eq!(seen.len(), 6);
    for request in seen {
        assert!(!request.head.to_lowercase().contains("forged"), "{}", request.head);
        let names: BTreeSet<_> = request.header_names().into_iter().collect();
        assert!(names.is_subset(&known), "{}", request.head);
    }
}

#[tokio::test]
async fn every_documented_header_but_the_actor_passes() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    let mut expected: Vec<_> = documented().into_iter().filter(|name| name != ACTOR).collect();
    expected.extend(OTHERS.iter().map(|name| (*name).to_owned()));
    expected.retain(|name| !["host", "content-length", "content-type"].contains(&name.as_str()));
    let value = |name: &str| match name {
        "traceparent" => "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
        other => format!("\"{other}\""),
    };
    let lines: Vec<_> =
        expected.iter().map(|name| format!("{name}: {}\r\n", value(name))).collect();
    send(&gateway, "POST /items", &lines.concat(), "{}").await;
    let seen = stubs.item.only();
    for name in expected {
        assert_eq!(seen.header(&name), [value(&name)], "{}", seen.head);
    }
    assert_eq!(seen.header("content-type"), ["application/json"]);
    assert_eq!(seen.header("host"), [format!("localhost:{}", gateway.port())]);
    assert_eq!(seen.body, b"{}");
}

#[tokio::test]
async fn trace_is_the_callers_or_a_new_one() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    for (sent, passes) in [
        (format!("00-{id}-00f067aa0ba902b7-00"), true),
        (format!("01-{id}-00f067aa0ba902b7-01-more"), true),
        (format!("00-{id}-00f067aa0ba902b7-01-more"), false),
        (format!("ff-{id}-00f067aa0ba902b7-01"), false),
        (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), false),
        (format!("00-{id}-{}-01", "0".repeat(16)), false),
        ("hello".to_owned(), false),
        (String::new(), false),
    ] {
        let answer = send(&gateway, "GET /items", &format!("traceparent: {sent}\r\n"), "").await;
        assert_eq!(answer.status, 200, "{sent}");
        let seen = stubs.item.seen().pop().unwrap();
        let [received] = seen.header("traceparent")[..] else { panic!("{}", seen.head) };
        if passes {
            assert_eq!(received, sent);
        } else {
            let lengths: Vec<_> = received.split('-').map(str::len).collect();
            assert!(!received.contains(id), "{received}");
            assert_eq!(lengths, [2, 32, 16, 2], "{received}");
        }
    }
}
