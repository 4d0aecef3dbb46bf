//! The breaker drill of the original market, on four services: many renters pay at once while the payment provider is about
//! as slow as they can wait, and then much slower. A long run does it for longer, and with more renters.

use crate::calls::{PROGRAM, PROVIDER, SOON};
use futures::future::join_all;
use gdmarket_testkit::{SplitMarket, SplitMarketOptions, eventually, size};
use reqwest::{Client, RequestBuilder, header};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a renter who was refused thinks.
const PAUSE: Duration = Duration::from_millis(100);

/// One renter's request to pay, as it was answered.
struct PaidRequest {
    reservation_no: i64,
    status: u16,
    body: Value,
}

fn seconds(everyday: usize, on_long_runs: usize) -> Duration {
    Duration::from_secs(u64::try_from(size(everyday, on_long_runs)).unwrap())
}

async fn answer(call: RequestBuilder) -> (u16, bool, Value) {
    let answer = call.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers());
    let has_retry_after = headers.contains_key(header::RETRY_AFTER);
    (status, has_retry_after, answer.json().await.unwrap_or_default())
}

/// The answer to a request that is repeated under one key until it is taken: other breakers may open on a busy machine.
async fn taken(client: &Client, url: String, body: Value) -> Value {
    let key = format!("{:032x}", rand::random::<u128>());
    eventually(SOON, || async {
        let call = client.post(&url).header("idempotency-key", &key).json(&body);
        match answer(call).await {
            (201 | 202, _, made) => Ok(made),
            other => Err(other),
        }
    })
    .await
}

/// A new reservation of a new item, which can be paid.
async fn reservation(client: &Client, market: &SplitMarket) -> i64 {
    let item = json!({"itemName": "Camera", "itemPrice": 100});
    let item = taken(client, market.url("item", "/items"), item).await;
    let body = json!({"customerName": "Kim", "customerId": 7, "itemNo": item["itemNo"]});
    let made = taken(client, market.url("reservation", "/reservations"), body).await;
    let number = made["reservationNo"].as_i64().unwrap();
    shows(client, market, number, |found| found["status"] == "Reserved").await;
    number
}

/// Reservations for so many renters, each with enough for the time of a drill.
async fn reservations(client: &Client, market: &SplitMarket, renters: usize) -> Vec<Vec<i64>> {
    let mut all = vec![vec![]; renters];
    for _ in 0..size(3, 60) {
        let made = join_all((0..renters).map(|_| reservation(client, market))).await;
        all.iter_mut().zip(made).for_each(|(own, number)| own.push(number));
    }
    all
}

/// Waits until a reservation shows this.
async fn shows(
    client: &Client,
    market: &SplitMarket,
    number: i64,
    is_shown: impl Fn(&Value) -> bool,
) {
    eventually(SOON, || async {
        let url = market.url("reservation", &format!("/reservations/{number}"));
        let found = answer(client.get(url)).await.2;
        if is_shown(&found) { Ok(()) } else { Err(found) }
    })
    .await;
}

async fn pay(client: &Client, market: &SplitMarket, reservation_no: i64) -> PaidRequest {
    let path = format!("/reservations/{reservation_no}/payment");
    let call = client.post(market.url("reservation", &path)).json(&json!({}));
    let (status, has_retry_after, body) = answer(call).await;
    if status == 503 {
        assert!(has_retry_after && body["code"] == "payment-unavailable", "{body}");
    }
    PaidRequest { reservation_no, status, body }
}

/// A renter who pays one reservation after the other until then. A refused payment is tried again.
async fn rent(
    client: &Client,
    market: &SplitMarket,
    reservations: Vec<i64>,
    until: Instant,
) -> Vec<PaidRequest> {
    let mut requests: Vec<PaidRequest> = vec![];
    for number in reservations {
        while Instant::now() < until {
            let request = pay(client, market, number).await;
            let is_refused = request.status == 503;
            requests.push(request);
            if !is_refused {
                break;
            }
            sleep(PAUSE).await;
        }
    }
    requests
}

/// Waits until the breaker of the payment provider is open, in `/capabilities` and as a metric.
async fn breaker_opens(client: &Client, market: &SplitMarket) {
    let metric = "gdmarket_breaker_state{dependency=\"payment\",watching=\"slowness\"} 2";
    eventually(SOON, || async {
        let known = answer(client.get(market.url("payment", "/capabilities"))).await.2;
        let breaker = known["breakers"]["payment"].clone();
        let metrics = client.get(market.url("payment", "/metrics")).send().await.unwrap();
        let is_in_metrics = metrics.text().await.unwrap().contains(metric);
        let is_open = breaker["state"] == "open" && breaker["until"].is_string();
        if is_open && is_in_metrics { Ok(()) } else { Err((breaker, is_in_metrics)) }
    })
    .await;
}

#[tokio::test]
async fn every_renter_who_pays_at_a_slow_gateway_is_answered_and_settled() {
    let market = SplitMarketOptions::four_services(PROGRAM)
        .variable_of("payment", "GDMARKET__PAYMENT__DELAY_MS", "400")
        .variable_of("payment", "GDMARKET__PAYMENT__JITTER_MS", "220")
        .start()
        .await;
    let client = Client::new();
    let prepared = reservations(&client, &market, 10).await;
    let until = Instant::now() + seconds(2, 30);
    let renters = prepared.into_iter().map(|own| rent(&client, &market, own, until));
    let requests: Vec<PaidRequest> = join_all(renters).await.into_iter().flatten().collect();
    let mut counts = BTreeMap::<u16, usize>::new();
    for PaidRequest { status, body, .. } in &requests {
        assert!([200, 202, 503].contains(status), "{status}: {body}");
        *counts.entry(*status).or_default() += 1;
    }
    println!("{counts:?}");
    assert!(counts.contains_key(&200) || counts.contains_key(&202), "{counts:?}");
    for request in requests.iter().filter(|request| request.status != 503) {
        let number = request.reservation_no;
        shows(&client, &market, number, |found| found["paymentStatus"] == "Paid").await;
    }
}

#[tokio::test]
async fn breaker_opens_while_the_provider_is_slow_and_closes_once_it_is_well() {
    let market = SplitMarketOptions::four_services(PROGRAM)
        .provider(PROVIDER, &["--delay-ms", "50"])
        .start()
        .await;
    let client = Client::new();
    let renters = size(12, 64);
    let prepared = reservations(&client, &market, renters).await;
    market.provider().behave(json!({"delayMs": 2_000})).await;
    let (slow_since, until) = (Instant::now(), Instant::now() + seconds(2, 30));
    let renting = prepared.into_iter().map(|own| rent(&client, &market, own, until));
    let renting = join_all(renting);
    let ((), requests) = tokio::join!(breaker_opens(&client, &market), renting);
    let requests: Vec<PaidRequest> = requests.into_iter().flatten().collect();
    assert!(requests.iter().any(|request| request.status == 503), "it refused while it was open");
    market.provider().behave(json!({"delayMs": 50})).await;
    let well_since = Instant::now();
    let number = reservation(&client, &market).await;
    eventually(SOON, || async {
        let request = pay(&client, &market, number).await;
        if request.status == 200 { Ok(()) } else { Err(request.status) }
    })
    .await;
    for request in requests.iter().filter(|request| request.status != 503) {
        let is_paid = |found: &Value| found["paymentStatus"] == "Paid";
        shows(&client, &market, request.reservation_no, is_paid).await;
    }
    let (slow, well) = (slow_since.elapsed(), well_since.elapsed());
    println!("{} requests in {slow:?}, all done {well:?} after the end", requests.len());
}
