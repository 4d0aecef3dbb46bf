//! An HTTP client of the market: typed requests, answered with the plain status and body.

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// A client of one running server.
#[derive(Clone)]
pub(crate) struct MarketClient {
    client: Client,
    url: String,
}

/// An answer of the server: the status and the JSON body (`null` when there was none).
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) retry_after: bool,
}

impl Answer {
    /// The problem's code; empty when the answer isn't a problem.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// A number in the body; 0 when absent.
    pub(crate) fn number(&self, field: &str) -> i64 {
        self.body[field].as_i64().unwrap_or_default()
    }

    /// Asserts the status and returns the answer, for chains.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }
}

impl MarketClient {
    pub(crate) fn at(url: &str) -> Self {
        let client = Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        Self { client, url: url.to_owned() }
    }

    /// Sends one request; `Err` when no answer came (connection refused or reset, time-out).
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let retry_after = response.headers().contains_key("retry-after");
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, body, retry_after })
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send(method, path, body, None).await.expect("the server answers")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn register(&self, price: i64) -> i64 {
        self.register_answer(price).await.expect(201).number("itemNo")
    }

    pub(crate) async fn register_answer(&self, price: i64) -> Answer {
        let body = json!({"itemName": "Camera", "itemPrice": price});
        self.call(Method::POST, "/items", Some(body)).await
    }

    pub(crate) async fn reserve(&self, item: i64, customer: i64) -> Answer {
        let body = json!({"customerName": "Renter", "customerId": customer, "itemNo": item});
        self.call(Method::POST, "/reservations", Some(body)).await
    }

    pub(crate) async fn pay(&self, reservation: i64) -> Answer {
        let body = json!({"paymentStatus": "Paid"});
        self.call(Method::PATCH, &format!("/reservations/{reservation}"), Some(body)).await
    }

    pub(crate) async fn cancel(&self, reservation: i64) -> Answer {
        self.call(Method::DELETE, &format!("/reservations/{reservation}"), None).await
    }

    pub(crate) async fn lend(&self, item: i64) -> Answer {
        let body = json!({"rentalStatus": "Renting"});
        self.call(Method::PATCH, &format!("/items/{item}"), Some(body)).await
    }

    pub(crate) async fn reservation(&self, no: i64) -> Value {
        self.get(&format!("/reservations/{no}")).await.expect(200).body
    }

    /// All payments of a reservation, filtered from those of the item, which are few.
    pub(crate) async fn payments(&self, item: i64, reservation: i64) -> Vec<Value> {
        let page = self.get(&format!("/payments?itemNo={item}&limit=500")).await.expect(200).body;
        let payments = page["_embedded"]["payments"].as_array().cloned().unwrap_or_default();
        payments.into_iter().filter(|p| p["reservationNo"] == reservation).collect()
    }
}

/// Whether the outcome of a request is unknown to a caller that gets this status.
pub(crate) fn is_unknown(status: u16) -> bool {
    StatusCode::from_u16(status).map_or(true, |status| status.is_server_error())
}
