//! `GET /internal/log` on a real server: its limits, and what it leaves out.

use crate::shared_keys::shared_keys;
use gdmarket_commands::{Clock as _, SystemClock};
use gdmarket_domain::Service;
use gdmarket_service_token::{SERVICE_TOKEN, TokenIssuer};
use gdmarket_testkit::{KeysFile, Server, ServerOptions, on_each_engine};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const KEY: &str = "a1";

fn ask(server: &Server, query: &str) -> RequestBuilder {
    let issuer = TokenIssuer::new(Service::Reservation, shared_keys(KEY));
    let token = issuer.issue(Service::Item, SystemClock.now(), SystemClock.new_id());
    let request = Client::new().get(server.url(&format!("/internal/log{query}")));
    request.header(SERVICE_TOKEN, token)
}

async fn text(request: RequestBuilder) -> String {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    answer.text().await.unwrap()
}

async fn problem(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn reserve(server: &Server, name: &str) {
    let item = json!({"itemName": "Camera", "itemPrice": 100});
    let item = Client::new().post(server.url("/items")).json(&item).send().await.unwrap();
    let item: Value = item.json().await.unwrap();
    let body = json!({"customerName": name, "customerId": 7, "itemNo": item["itemNo"]});
    let reserved = Client::new().post(server.url("/reservations")).json(&body).send().await;
    assert_eq!(reserved.unwrap().status().as_u16(), 201);
}

on_each_engine! {
    async fn page_has_all_that_a_consumer_needs_and_no_name(db: &TestDb) {
        let file = KeysFile::new(KEY);
        let server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
            .on(db)
            .variable(KeysFile::VARIABLE, &file.path())
            .start()
            .await;
        reserve(&server, "Hildegard").await;
        let page = text(ask(&server, "?after=0&limit=1000")).await;
        let lines: Vec<Value> =
            page.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (header, events) = (&lines[0], &lines[1..]);
        assert_eq!(header["services"], "item,reservation,payment,alarm");
        assert_eq!(header["events"], events.len());
        assert_eq!(header["head"], events.last().unwrap()["position"]);
        assert!(events.len() >= 4, "{page}");
        let mut previous = json!(0);
        for event in events {
            assert_eq!(event["previous"], previous, "{event}");
            previous = event["position"].clone();
            let metadata: Value = serde_json::from_str(event["metadata"].as_str().unwrap()).unwrap();
            assert!(metadata["correlationId"].is_string(), "{event}");
            let payload: Value = serde_json::from_str(event["payload"].as_str().unwrap()).unwrap();
            assert!(payload.is_object(), "{event}");
        }
        assert!(!page.contains("Hildegard"), "names are no part of events");
    }
}

#[tokio::test]
async fn limits_of_a_page_are_kept() {
    let file = KeysFile::new(KEY);
    let server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
        .variable(KeysFile::VARIABLE, &file.path())
        .start()
        .await;
    reserve(&server, "Kim").await;
    let page = text(ask(&server, "?limit=2")).await;
    assert_eq!(page.lines().count(), 3);
    for (query, field) in [
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?after=-1", "after"),
        ("?after=x", "after"),
        ("?wait_ms=10001", "wait_ms"),
        ("?until=5", "until"),
        ("?after=1&after=2", "after"),
    ] {
        let (status, problem) = problem(ask(&server, query)).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &field.into()), "{query}");
    }
}

#[tokio::test]
async fn answer_comes_within_the_time_that_its_caller_has_left() {
    let file = KeysFile::new(KEY);
    let server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
        .variable(KeysFile::VARIABLE, &file.path())
        .start()
        .await;
    let head = |page: &str| serde_json::from_str::<Value>(page.lines().next().unwrap()).unwrap();
    let began = Instant::now();
    let query = "?after=0&wait_ms=10000";
    let page = text(ask(&server, query).header("Gdmarket-Timeout-Ms", "400")).await;
    assert_eq!(head(&page)["events"], 0);
    assert!(began.elapsed() < Duration::from_secs(5), "it waited for no more than its time");

    let waiting = tokio::spawn(text(ask(&server, query)));
    reserve(&server, "Kim").await;
    let page = waiting.await.unwrap();
    assert!(head(&page)["events"].as_i64() > Some(0), "it answers at the first event");

    let (status, spent) = problem(ask(&server, "").header("Gdmarket-Timeout-Ms", "5")).await;
    assert_eq!((status, &spent["code"]), (503, &"timed-out".into()));
    let (status, bad) = problem(ask(&server, "").header("Gdmarket-Timeout-Ms", "soon")).await;
    assert_eq!((status, &bad["code"]), (400, &"bad-header".into()));
}
