//! `Gdmarket-At` over services: any service reads the token of any other, waits for the positions that its own views
//! follow, and refuses what no service signed.

use gdmarket_testkit::{Engine, SplitMarket, SplitMarketOptions, eventually};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::time::Duration;

/// The key that the processes start with, and one that takes its place.
const KEY: &str = "a1";
const NEW_KEY: &str = "b2";
const SOON: Duration = Duration::from_secs(30);

async fn start() -> SplitMarket {
    SplitMarketOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
        .process("item,alarm", Engine::Sqlite)
        .process("reservation,payment", Engine::Sqlite)
        .start()
        .await
}

/// Writes, and returns the token of what was written.
async fn write(market: &SplitMarket, service: &str, path: &str, body: Value) -> String {
    let answer = Client::new().post(market.url(service, path)).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    answer.headers()["gdmarket-at"].to_str().unwrap().to_owned()
}

async fn register(market: &SplitMarket) -> String {
    write(market, "item", "/items", json!({"itemName": "Camera", "itemPrice": 100})).await
}

async fn reserve(market: &SplitMarket) -> String {
    let body = json!({"customerName": "Kim", "customerId": 7, "itemNo": 1});
    write(market, "reservation", "/reservations", body).await
}

async fn read(market: &SplitMarket, service: &str, path: &str, token: &str) -> Response {
    let url = format!("{}?at_least={token}", market.url(service, path));
    Client::new().get(url).send().await.unwrap()
}

/// The status of a read that had the time that it needs: views may be behind for longer than a read waits.
async fn status(market: &SplitMarket, service: &str, path: &str, token: &str) -> u16 {
    eventually(SOON, || async {
        match read(market, service, path, token).await.status().as_u16() {
            503 => Err("the views are behind"),
            status => Ok(status),
        }
    })
    .await
}

async fn views(market: &SplitMarket, service: &str, action: &str) {
    let output = market.tool(service, &["views", action, "item-info"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn token_of_another_service_is_waited_for_where_it_is_followed_and_ignored_elsewhere() {
    let mut market = start().await;
    let registered = register(&market).await;
    let reserved = reserve(&market).await;
    assert_eq!(
        status(&market, "item", "/items", &reserved).await,
        200,
        "no view there reads reservations"
    );
    // The reservation service has a copy of the items.
    assert_eq!(status(&market, "reservation", "/reservations", &registered).await, 200);
    views(&market, "reservation", "pause").await;
    let second = register(&market).await;
    let behind: Value =
        read(&market, "reservation", "/reservations", &second).await.json().await.unwrap();
    assert_eq!(behind["code"], "views-behind");
    views(&market, "reservation", "resume").await;
    eventually(SOON, || async {
        let status = status(&market, "reservation", "/reservations", &second).await;
        if status == 200 { Ok(()) } else { Err(status) }
    })
    .await;
    // Also while its service is down.
    market.kill("item").await;
    assert_eq!(status(&market, "reservation", "/reservations", &second).await, 200);
}

/// Replaces the keys, and waits until the processes have read them `times` times.
async fn replace_keys(market: &SplitMarket, current: &str, previous: Option<&str>, times: usize) {
    market.keys().write(current, previous);
    for service in ["item", "reservation"] {
        eventually(SOON, || async {
            let log = market.server(service).stderr();
            let read = log.matches("the keys of service tokens were read again").count();
            if read >= times { Ok(()) } else { Err(log) }
        })
        .await;
    }
}

#[tokio::test]
async fn token_that_no_service_signed_is_refused_also_while_keys_are_replaced() {
    let market = start().await;
    let of_old_key = register(&market).await;
    let forged =
        format!("{}{}", if of_old_key.starts_with('A') { 'B' } else { 'A' }, &of_old_key[1..]);
    let answers = async |token: &str, expected: u16| {
        for service in ["item", "reservation"] {
            let path = format!("/{service}s");
            assert_eq!(status(&market, service, &path, token).await, expected, "{service}");
            if expected != 200 {
                let body: Value = read(&market, service, &path, token).await.json().await.unwrap();
                assert_eq!(body["errors"][0]["field"], "at_least", "{body}");
            }
        }
    };
    answers(&of_old_key, 200).await;
    answers(&forged, 422).await;
    replace_keys(&market, NEW_KEY, Some(KEY), 1).await;
    let of_new_key = register(&market).await;
    for token in [&of_old_key, &of_new_key] {
        answers(token, 200).await;
    }
    replace_keys(&market, NEW_KEY, None, 2).await;
    answers(&of_old_key, 422).await;
    answers(&of_new_key, 200).await;
}
