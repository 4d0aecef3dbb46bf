//! The breaker of the calls to the payment service: a service that answers nothing is left alone, callers are refused at once,
//! and it is called again once it is well.

use crate::calls::{PROGRAM, SOON, ServiceRequest, read, register};
use gdmarket_testkit::{Engine, SplitMarket, SplitMarketOptions, eventually};
use reqwest::{Client, Method};
use serde_json::json;

/// More calls than the least number that opens a breaker.
const PAYERS: i64 = 12;

async fn reserve(market: &SplitMarket, item: i64) {
    let body = json!({"customerName": "Kim", "customerId": 7, "itemNo": item});
    let (service, method, path) = ("reservation", Method::POST, "/reservations");
    let request = ServiceRequest { service, method, path, body, key: None };
    let status = request.send(market).await.status;
    assert!(matches!(status, 201 | 202), "{status}");
    let path = format!("/reservations/{item}");
    eventually(SOON, || async {
        let found = read(market, "reservation", &path).await;
        if found["status"] == "Reserved" { Ok(()) } else { Err(found) }
    })
    .await;
}

/// The level of the breaker that watches how slow the calls are: 2 while it is open.
async fn level(market: &SplitMarket) -> String {
    let metrics = Client::new().get(market.url("reservation", "/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let is_level = |line: &&str| {
        line.starts_with("gdmarket_breaker_state{")
            && line.contains("\"payment\"")
            && line.contains("\"slowness\"")
    };
    let line = metrics.lines().find(is_level).unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn payment_service_that_answers_nothing_is_left_alone_until_it_is_well() {
    let market = SplitMarketOptions::new(PROGRAM)
        .process("item,alarm", Engine::Sqlite)
        .process("reservation", Engine::Sqlite)
        .process("payment", Engine::Sqlite)
        .start()
        .await;
    for item in 1..=PAYERS {
        register(&market, None).await.expect(201);
        reserve(&market, item).await;
    }
    let pay = async |number: i64| {
        let path = format!("/reservations/{number}/payment");
        crate::calls::post(&market, "reservation", &path, None).await
    };
    assert_eq!(level(&market).await, "0");
    let before = market.db("reservation").head().await;
    market.stop("payment").await;
    let refusals = futures::future::join_all((1..=PAYERS).map(&pay)).await;
    for refusal in refusals.iter().chain([&pay(1).await]) {
        refusal.assert_unavailable("payment-unavailable");
    }
    assert_eq!(level(&market).await, "2");
    assert_eq!(market.db("reservation").head().await, before, "nothing was written");
    market.resume("payment").await;
    eventually(SOON, || async {
        let answer = pay(1).await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
    for number in 2..=PAYERS {
        eventually(SOON, || async {
            let answer = pay(number).await;
            if answer.status == 200 { Ok(()) } else { Err(answer) }
        })
        .await;
    }
    assert_eq!(level(&market).await, "0");
}
