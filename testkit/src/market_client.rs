//! An HTTP client of the market, which may be several processes: typed requests, answered with the plain status and
//! body.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use crate::gateway::ServiceAddresses;

/// A client of a market.
#[derive(Debug, Clone)]
pub struct MarketClient {
    client: Client,
    urls: Arc<ServiceUrls>,
}

/// The URLs of the replicas of each service, which are used in turn.
#[derive(Debug)]
struct ServiceUrls {
    item: Vec<String>,
    reservation: Vec<String>,
    payment: Vec<String>,
    alarm: Vec<String>,
    requests: AtomicUsize,
}

impl ServiceUrls {
    /// The URL of a path of the market.
    fn url(&self, path: &str) -> String {
        let collection = path.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
        let replicas = match collection {
            "items" | "itemInfoes" => &self.item,
            "payments" => &self.payment,
            "alarms" => &self.alarm,
            _ => &self.reservation,
        };
        let number = self.requests.fetch_add(1, Ordering::Relaxed) % replicas.len();
        format!("{}{path}", replicas.get(number).expect("a replica"))
    }
}

/// An answer of the server: the status and the JSON body (`null` when there was none).
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The JSON body.
    pub body: Value,
    /// Whether it has `Retry-After`.
    pub retry_after: bool,
    /// `Gdmarket-At`: what the write did.
    pub at: Option<String>,
    /// The version of the resource, from its `ETag`.
    pub version: Option<i64>,
}

impl Answer {
    async fn of(response: Response) -> Result<Self, reqwest::Error> {
        let status = response.status().as_u16();
        let header = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let retry_after = response.headers().contains_key("retry-after");
        let at = header("gdmarket-at");
        // "7.2f0…": the version of the stream, and what the representation depends on besides.
        let version = header("etag").and_then(|tag| {
            tag.trim_start_matches("W/").trim_matches('"').split('.').next()?.parse().ok()
        });
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Self { status, body, retry_after, at, version })
    }

    /// The problem's code; empty when the answer isn't a problem.
    pub fn code(&self) -> &str {
        self.body.get("code").and_then(Value::as_str).unwrap_or_default()
    }

    /// A number in the body; 0 when absent.
    pub fn number(&self, field: &str) -> i64 {
        self.body.get(field).and_then(Value::as_i64).unwrap_or_default()
    }

    /// Asserts the status and returns the answer, for chains.
    #[expect(clippy::return_self_not_must_use, reason = "often called for the assertion alone")]
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }
}

impl MarketClient {
    /// A client of a market behind one URL.
    pub fn at(url: &str) -> Self {
        let urls = || vec![url.to_owned()];
        Self::new(ServiceUrls {
            item: urls(),
            reservation: urls(),
            payment: urls(),
            alarm: urls(),
            requests: AtomicUsize::new(0),
        })
    }

    /// A client of services with addresses of their own, which it chooses between as the gateway does.
    pub fn of(services: &ServiceAddresses) -> Self {
        let urls = |addresses: &str| {
            addresses.split(',').map(|address| format!("http://{address}")).collect()
        };
        Self::new(ServiceUrls {
            item: urls(&services.item),
            reservation: urls(&services.reservation),
            payment: urls(&services.payment),
            alarm: urls(&services.alarm),
            requests: AtomicUsize::new(0),
        })
    }

    fn new(urls: ServiceUrls) -> Self {
        let client = Client::builder().timeout(Duration::from_secs(30)).build();
        Self { client: client.expect("an HTTP client"), urls: Arc::new(urls) }
    }

    /// Sends one request; `Err` when no answer came (connection refused or reset, time-out).
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.request(method, self.urls.url(path));
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        Answer::of(request.send().await?).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send(method, path, body, None).await.expect("the server answers")
    }

    /// Reads a path.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// Registers an item and returns its number.
    pub async fn register(&self, price: i64) -> i64 {
        self.register_answer(price).await.expect(201).number("itemNo")
    }

    /// Registers an item.
    pub async fn register_answer(&self, price: i64) -> Answer {
        let body = json!({"itemName": "Camera", "itemPrice": price});
        self.call(Method::POST, "/items", Some(body)).await
    }

    /// Reserves an item.
    pub async fn reserve(&self, item: i64, customer: i64) -> Answer {
        let body = json!({"customerName": "Renter", "customerId": customer, "itemNo": item});
        self.call(Method::POST, "/reservations", Some(body)).await
    }

    /// Pays a reservation.
    pub async fn pay(&self, reservation: i64) -> Answer {
        let body = json!({"paymentStatus": "Paid"});
        self.call(Method::PATCH, &format!("/reservations/{reservation}"), Some(body)).await
    }

    /// Cancels a reservation.
    pub async fn cancel(&self, reservation: i64) -> Answer {
        self.call(Method::DELETE, &format!("/reservations/{reservation}"), None).await
    }

    /// Lends an item.
    pub async fn lend(&self, item: i64) -> Answer {
        let body = json!({"rentalStatus": "Renting"});
        self.call(Method::PATCH, &format!("/items/{item}"), Some(body)).await
    }

    /// The row of a reservation.
    pub async fn reservation(&self, no: i64) -> Value {
        self.get(&format!("/reservations/{no}")).await.expect(200).body
    }

    /// All payments of a reservation, filtered from those of the item, which are few.
    pub async fn payments(&self, item: i64, reservation: i64) -> Vec<Value> {
        let page = self.get(&format!("/payments?itemNo={item}&limit=500")).await.expect(200).body;
        let payments = page.pointer("/_embedded/payments").and_then(Value::as_array);
        let of = |payment: &Value| payment.get("reservationNo") == Some(&json!(reservation));
        payments.cloned().unwrap_or_default().into_iter().filter(of).collect()
    }
}

/// Whether the outcome of a request is unknown to a caller that gets this status.
pub(crate) const fn is_unknown(status: u16) -> bool {
    status >= 500
}
