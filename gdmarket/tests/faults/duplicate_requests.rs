//! The same request under the same idempotency key, sent to two servers at the same moment: one effect, one answer.

use futures::future::join_all;
use gdmarket_testkit::{Answer, MarketClient, ServerOptions, TestDb, run, times};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ROUNDS: usize = 5;
const SENDERS: usize = 50;

#[test]
fn fifty_equal_requests_to_two_servers_have_one_effect_and_one_answer() {
    run(async {
        let db = TestDb::postgres().await;
        let options = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db);
        let servers = [options.clone().start().await, options.start().await];
        let markets = servers.each_ref().map(|server| MarketClient::at(&server.url("")));
        for round in 0..times(ROUNDS) {
            let item = json!({"itemName": "Camera", "itemPrice": 100});
            let registered =
                the_one_answer(&markets, "/items", &item, &format!("item-{round}")).await;
            let request = json!({"itemNo": registered["itemNo"], "customerId": 7});
            let key = format!("reservation-{round}");
            let reserved = the_one_answer(&markets, "/reservations", &request, &key).await;
            let path = format!("/reservations/{}/payment", reserved["reservationNo"]);
            let paid = the_one_answer(&markets, &path, &json!({}), "pay").await;
            assert_eq!(paid["paymentStatus"], "Paid");
        }
        for collection in ["items", "reservations", "payments"] {
            let page = markets[0].get(&format!("/{collection}?limit=500")).await.expect(200).body;
            let rows = page["_embedded"][collection].as_array().map(Vec::len);
            assert_eq!(rows, Some(times(ROUNDS)), "{collection}");
        }
    });
}

/// Sends equal requests to both servers at once, and returns the answer that all of them got.
async fn the_one_answer(markets: &[MarketClient; 2], path: &str, body: &Value, key: &str) -> Value {
    let answers = send_concurrently(markets, path, body, Some(key)).await;
    for answer in &answers {
        assert!(matches!(answer.status, 200 | 201), "{path}: {answer:?}");
        assert_eq!((answer.status, &answer.body), (answers[0].status, &answers[0].body), "{path}");
    }
    answers[0].body.clone()
}

async fn send_concurrently(
    markets: &[MarketClient; 2],
    path: &str,
    body: &Value,
    key: Option<&str>,
) -> Vec<Answer> {
    let requests = (0..SENDERS).map(|sender| {
        let market = &markets[sender % markets.len()];
        market.send(Method::POST, path, Some(body.clone()), key)
    });
    let answers = join_all(requests).await;
    answers.into_iter().map(|answer| answer.expect("an answer")).collect()
}

/// Control: without a key each of the requests has an effect.
#[test]
fn control_fifty_equal_requests_without_a_key_have_fifty_effects() {
    run(async {
        let db = TestDb::postgres().await;
        let options = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(&db);
        let servers = [options.clone().start().await, options.start().await];
        let markets = servers.each_ref().map(|server| MarketClient::at(&server.url("")));
        let item = json!({"itemName": "Camera", "itemPrice": 100});
        let answers = send_concurrently(&markets, "/items", &item, None).await;
        let numbers: BTreeSet<i64> =
            answers.into_iter().map(|answer| answer.expect(201).number("itemNo")).collect();
        assert_eq!(numbers.len(), SENDERS);
    });
}
