//! Requests of people to a split market, each to the service that it is for, and what the tests wait for.

use gdmarket_testkit::{SplitMarket, eventually};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
pub(crate) const PROVIDER: &str = env!("CARGO_BIN_EXE_gdmarket-payment-provider");
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// An answer, as far as the tests look at it.
#[derive(Debug)]
pub(crate) struct ServiceAnswer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Value,
}

impl ServiceAnswer {
    /// The body of an answer with this status.
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Checks that it is a refusal for now, with this code.
    pub(crate) fn assert_unavailable(&self, code: &str) {
        assert_eq!((self.status, &self.body["code"]), (503, &code.into()), "{self:?}");
        assert!(self.retry_after.is_some_and(|seconds| seconds >= 1), "{self:?}");
    }
}

/// One request; `key` identifies its repeats.
pub(crate) struct ServiceRequest<'a> {
    pub(crate) service: &'a str,
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) body: Value,
    pub(crate) key: Option<&'a str>,
}

impl ServiceRequest<'_> {
    pub(crate) async fn send(self, market: &SplitMarket) -> ServiceAnswer {
        let Self { service, method, path, body, key } = self;
        let request = Client::new().request(method, market.url(service, path)).json(&body);
        let request = match key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let status = answer.status().as_u16();
        ServiceAnswer { status, retry_after, body: answer.json().await.unwrap_or_default() }
    }
}

pub(crate) async fn post(
    market: &SplitMarket,
    service: &str,
    path: &str,
    key: Option<&str>,
) -> ServiceAnswer {
    ServiceRequest { service, method: Method::POST, path, body: json!({}), key }.send(market).await
}

pub(crate) async fn read(market: &SplitMarket, service: &str, path: &str) -> Value {
    let (method, body) = (Method::GET, json!({}));
    ServiceRequest { service, method, path, body, key: None }.send(market).await.body
}

/// Registers an item of 100 won.
pub(crate) async fn register(market: &SplitMarket, key: Option<&str>) -> ServiceAnswer {
    let (service, method, path) = ("item", Method::POST, "/items");
    let body = json!({"itemName": "Camera", "itemPrice": 100});
    ServiceRequest { service, method, path, body, key }.send(market).await
}

/// Reserves the first item for today.
pub(crate) async fn reserve(market: &SplitMarket) -> ServiceAnswer {
    let (service, method, path) = ("reservation", Method::POST, "/reservations");
    let body = json!({"customerName": "Kim", "customerId": 7, "itemNo": 1});
    ServiceRequest { service, method, path, body, key: None }.send(market).await
}

/// Pays the first reservation.
pub(crate) async fn pay(market: &SplitMarket, key: Option<&str>) -> ServiceAnswer {
    post(market, "reservation", "/reservations/1/payment", key).await
}

/// Waits until the first reservation has this status.
pub(crate) async fn reservation_becomes(market: &SplitMarket, status: &str) {
    eventually(SOON, || async {
        let found = read(market, "reservation", "/reservations/1").await;
        if found["status"] == status { Ok(()) } else { Err(found) }
    })
    .await;
}

/// Lends the first item as soon as it has learnt that it is paid, and takes it back.
pub(crate) async fn lend_and_return(market: &SplitMarket) {
    eventually(SOON, || async {
        match post(market, "item", "/items/1/lend", None).await {
            ServiceAnswer { status: 200, .. } => Ok(()),
            refused => Err(refused),
        }
    })
    .await;
    reservation_becomes(market, "Renting").await;
    post(market, "item", "/items/1/return", None).await.expect(200);
    reservation_becomes(market, "Completed").await;
}

/// The charges and refunds of the provider, by their kind.
pub(crate) async fn provider_entries(market: &SplitMarket) -> Vec<Value> {
    market.provider().entries().await
}
