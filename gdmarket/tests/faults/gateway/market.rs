//! A real market behind the gateway: one process that is all four services.

use super::raw::send;
use crate::event_stream_client::EventStreamClient;
use gdmarket_testkit::{Gateway, Server, ServerOptions, ServiceAddresses, eventually};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use std::time::Duration;

async fn market() -> (Server, Gateway) {
    let options = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"));
    let options = options.variable("GDMARKET__SERVER__ADDRESS_SHARE_PERCENT", "100");
    let server = options.start().await;
    let gateway = Gateway::before(&ServiceAddresses::all_at(server.port()), &[]).await;
    (server, gateway)
}

async fn call(gateway: &Gateway, method: Method, path: &str, body: Value) -> Response {
    let request = Client::new().request(method, gateway.url(path));
    let request = request.header("content-type", "application/json");
    request.body(body.to_string()).send().await.unwrap()
}

/// Waits until a field of a resource has this value.
async fn see(gateway: &Gateway, path: &str, pointer: &str, expected: Value) {
    eventually(Duration::from_secs(10), || async {
        let text = reqwest::get(gateway.url(path)).await.unwrap().text().await.unwrap();
        let seen: Value = serde_json::from_str(&text).unwrap();
        if seen.pointer(pointer) == Some(&expected) { Ok(()) } else { Err(text) }
    })
    .await;
}

/// The scenario of the seed, with JSON strings for numbers as HTTPie sends them.
#[tokio::test]
async fn whole_rental_works_through_the_gateway() {
    let (_server, gateway) = market().await;
    let item = json!({"itemName": "Camera", "itemPrice": "100", "itemStatus": "Rentable",
        "rentalStatus": "NotRenting"});
    assert_eq!(call(&gateway, Method::POST, "/items/", item).await.status(), 201);
    see(&gateway, "/alarms", "/_embedded/alarms/0/alarmStatus", json!("Alerted")).await;
    see(&gateway, "/itemInfoes", "/_embedded/itemInfoes/0/itemName", json!("Camera")).await;
    let reservation = json!({"customerName": "YoungEunSong", "customerId": "1", "itemNo": "1",
        "itemName": "Camera", "itemPrice": "100", "paymentStatus": "NotPaid",
        "rentalStatus": "NotRenting"});
    let reserved = call(&gateway, Method::POST, "/reservations", reservation).await;
    assert_eq!(reserved.status(), 201);
    assert_eq!(reserved.headers()["location"], "/reservations/1");
    for (method, path, body) in [
        (Method::PATCH, "/reservations/1", json!({"paymentStatus": "Paid"})),
        (
            Method::PATCH,
            "/items/1",
            json!({"itemNo": "1", "reservationNo": "1",
            "itemStatus": "NotRentable", "rentalStatus": "Renting"}),
        ),
        (
            Method::PATCH,
            "/items/1",
            json!({"itemNo": "1", "reservationNo": "1",
            "itemStatus": "Rentable", "rentalStatus": "Returned"}),
        ),
    ] {
        let answer = call(&gateway, method, path, body).await;
        let status = answer.status();
        assert!(status.is_success(), "{path}: {status} {}", answer.text().await.unwrap());
    }
    see(&gateway, "/payments", "/_embedded/payments/0/paymentStatus", json!("Paid")).await;
    see(&gateway, "/reservations/1", "/rentalStatus", json!("Returned")).await;
    assert!(call(&gateway, Method::DELETE, "/items/1", json!({})).await.status().is_success());
}

#[tokio::test]
async fn problem_of_a_service_passes_unchanged_and_its_page_can_be_read() {
    let (server, gateway) = market().await;
    let problem = send(&gateway, "GET /items/7", "", "").await.problem(404, "item-not-found");
    let direct = reqwest::get(server.url("/items/7")).await.unwrap().text().await.unwrap();
    let mut direct: Value = serde_json::from_str(&direct).unwrap();
    direct["traceId"] = problem["traceId"].clone();
    assert_eq!(problem, direct);
    for code in ["item-not-found", "service-unreachable", "no-answer"] {
        let page = reqwest::get(gateway.url(&format!("/docs/errors/{code}"))).await.unwrap();
        assert_eq!(page.status(), 200, "{code}");
    }
    // A malformed actor is a fault, unless it never arrives.
    let forged = Client::new().get(server.url("/items")).header("x-gdmarket-actor", "nonsense");
    assert_eq!(forged.send().await.unwrap().status(), 400);
    let forged = Client::new().get(gateway.url("/items")).header("x-gdmarket-actor", "nonsense");
    assert_eq!(forged.send().await.unwrap().status(), 200);
    // A name that isn't the server's is refused as without a gateway, and so is a page of another site.
    let foreign = Client::new().get(gateway.url("/items")).header("host", "evil.example");
    assert_eq!(foreign.send().await.unwrap().status(), 421);
    let foreign = Client::new().get(gateway.url("/items")).header("origin", "https://evil.example");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn follower_sees_an_event_of_the_market() {
    let (_server, gateway) = market().await;
    let url = gateway.url("/services/item/events");
    let mut stream = EventStreamClient::open_url(&url, None).await;
    let item = json!({"itemName": "Camera", "itemPrice": 100});
    assert_eq!(call(&gateway, Method::POST, "/items", item).await.status(), 201);
    let event = stream.event().await;
    assert!(event["type"].is_string(), "{event}");
}

#[tokio::test]
async fn gateway_runs_as_an_ordinary_user() {
    let (_server, gateway) = market().await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    assert!(!user.split_whitespace().any(|number| number == "0"), "{user}");
    assert!(!gateway.error_log().contains("ermission denied"), "{}", gateway.error_log());
}

/// One address is all callers of a service behind a gateway.
#[tokio::test]
async fn many_callers_at_once_are_answered() {
    let (_server, gateway) = market().await;
    let client = Client::new();
    let calls = (0..300).map(|_| client.get(gateway.url("/items")).send());
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
}
