//! A real market behind the gateway: one process that is all four services.

use super::raw::send;
use crate::event_stream_client::EventStreamClient;
use gdmarket_testkit::{Gateway, Server, ServerOptions, ServiceAddresses};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::process::Command;

async fn market() -> (Server, Gateway) {
    let options = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"));
    let options = options.variable("GDMARKET__SERVER__ADDRESS_SHARE_PERCENT", "100");
    let server = options.start().await;
    let gateway = Gateway::before(&ServiceAddresses::all_at(server.port()), &[]).await;
    (server, gateway)
}

/// The scenario of the demo, whose requests are those of the original market.
#[tokio::test]
async fn whole_rental_works_through_the_gateway() {
    let (_server, gateway) = market().await;
    let folder = tempfile::tempdir().unwrap();
    let demo = Command::new(env!("CARGO_BIN_EXE_gdmarket"))
        .args(["demo", "--url", &gateway.url("")])
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    let text = [&demo.stdout[..], &demo.stderr[..]].concat();
    assert!(demo.status.success(), "{}", String::from_utf8_lossy(&text));
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
    let item = json!({"itemName": "Camera", "itemPrice": 100}).to_string();
    assert_eq!(send(&gateway, "POST /items", "", &item).await.status, 201);
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
