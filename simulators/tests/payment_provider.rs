//! The interface of the stand-in for a payment provider over HTTP: what a caller gets, whatever is repeated, faulty or
//! at the same time.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use gdmarket_simulators::payment_provider::{
    PaymentProvider, PaymentProviderOptions, ProviderBehaviour,
};
use gdmarket_testkit::eventually;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const SOON: Duration = Duration::from_secs(10);

struct Provider {
    url: String,
    client: Client,
    serving: JoinHandle<()>,
}

impl Provider {
    async fn in_folder(folder: &Path, key: Option<&str>) -> Self {
        let (folder, key) = (folder.to_owned(), key.map(str::to_owned));
        let provider = eventually(SOON, || async {
            // The thread of a provider that has just ended may still have the ledger open.
            let (folder, key) = (folder.clone(), key.clone());
            let behaviour = ProviderBehaviour::default();
            PaymentProvider::open(PaymentProviderOptions { folder, key, behaviour })
        })
        .await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            drop(provider.serve(listener).await);
        });
        Self { url, client: Client::new(), serving }
    }

    /// The status and the body; a status of 0 is a connection that ended.
    async fn send(&self, method: Method, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let request = request.header("Idempotency-Key", key).body(body.to_string());
        match request.send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let body = answer.bytes().await.unwrap_or_default();
                (status, serde_json::from_slice(&body).unwrap_or_default())
            }
            Err(_) => (0, Value::Null),
        }
    }

    async fn confirm(&self, id: &str, amount: u64) -> (u16, Value) {
        let body = json!({"orderId": "order-1", "totalAmount": amount, "currency": "KRW"});
        self.send(Method::POST, &format!("/payments/{id}/confirm"), id, &body).await
    }

    async fn cancel(&self, id: &str) -> (u16, Value) {
        let body = json!({"reason": "no"});
        self.send(Method::POST, &format!("/payments/{id}/cancel"), "refund", &body).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, path, "", &Value::Null).await
    }

    async fn behave(&self, behaviour: Value) -> u16 {
        self.send(Method::PUT, "/behaviour", "", &behaviour).await.0
    }

    async fn ledger(&self) -> Vec<Value> {
        self.get("/ledger").await.1["entries"].as_array().unwrap().clone()
    }
}

fn shown(status: &str, cancelled: u64) -> Value {
    json!({
        "paymentId": "a", "orderId": "order-1", "status": status, "currency": "KRW",
        "totalAmount": 300, "cancelledAmount": cancelled,
    })
}

fn charge(id: &str) -> Value {
    json!({"kind": "charge", "paymentId": id, "orderId": "order-1", "amount": 300})
}

#[tokio::test]
async fn repeats_are_answered_as_the_first_call_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let provider = Provider::in_folder(folder.path(), None).await;
        let is_new = provider.ledger().await.is_empty();
        for repeat in [false, true] {
            let paid = if is_new && !repeat { shown("PAID", 0) } else { shown("CANCELLED", 300) };
            assert_eq!(provider.confirm("a", 300).await, (200, paid));
            assert_eq!(provider.cancel("a").await, (200, shown("CANCELLED", 300)));
            assert_eq!(provider.get("/payments/a").await, (200, shown("CANCELLED", 300)));
        }
        let refund = json!({"kind": "refund", "paymentId": "a", "amount": 300});
        assert_eq!(provider.ledger().await, [charge("a"), refund]);
        provider.serving.abort();
    }
}

#[tokio::test]
async fn key_is_never_charged_for_another_order_and_a_decline_is_final() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::in_folder(folder.path(), None).await;
    assert_eq!(provider.confirm("a", 300).await.0, 200);
    let (status, body) = provider.confirm("a", 301).await;
    assert_eq!((status, &body["code"]), (409, &json!("IDEMPOTENCY_KEY_REUSED")));
    assert_eq!(provider.behave(json!({"fault": "decline", "times": 1})).await, 200);
    for _ in 0..2 {
        let (status, body) = provider.confirm("b", 300).await;
        assert_eq!((status, &body["code"]), (402, &json!("CARD_DECLINED")));
    }
    assert_eq!(provider.get("/payments/b").await.1["status"], "FAILED");
    assert_eq!(provider.cancel("b").await.0, 422);
    assert_eq!(provider.cancel("c").await.0, 404);
    assert_eq!(provider.get("/payments/c").await.1["code"], "PAYMENT_NOT_FOUND");
    let kinds: Vec<_> = provider.ledger().await.iter().map(|of| of["kind"].clone()).collect();
    assert_eq!(kinds, ["charge", "decline"]);
}

#[tokio::test]
async fn call_in_progress_is_neither_found_nor_repeated_and_takes_effect_without_its_caller() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::in_folder(folder.path(), None).await;
    provider.behave(json!({"delayMs": 2_000})).await;
    let url = format!("{}/payments/a/confirm", provider.url);
    let body = json!({"orderId": "order-1", "totalAmount": 300, "currency": "KRW"}).to_string();
    let sent = Client::new().post(url).header("Idempotency-Key", "a").body(body).send();
    let caller = tokio::spawn(sent);
    eventually(SOON, || async {
        let calls = provider.get("/calls").await.1;
        if calls["confirm"] == 1 { Ok(()) } else { Err(calls) }
    })
    .await;
    provider.behave(json!({})).await;
    assert_eq!(provider.get("/payments/a").await.1["code"], "PAYMENT_IN_PROGRESS");
    assert_eq!(provider.confirm("a", 300).await.0, 409);
    caller.abort();
    eventually(SOON, || async {
        let (status, body) = provider.get("/payments/a").await;
        if status == 200 { Ok(()) } else { Err(body) }
    })
    .await;
    assert_eq!(provider.ledger().await, [charge("a")]);
}

#[tokio::test]
async fn many_calls_at_once_charge_each_key_once() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::in_folder(folder.path(), None).await;
    let ids: Vec<String> = (0..40).map(|number| format!("p{number}")).collect();
    let calls = (0..200).map(|call: usize| provider.confirm(&ids[call % 40], 300));
    for (status, body) in futures::future::join_all(calls).await {
        assert!(matches!(status, 200 | 409), "{status} {body}");
    }
    let mut charged: Vec<Value> = provider.ledger().await;
    charged.sort_by_key(ToString::to_string);
    let mut expected: Vec<Value> = ids.iter().map(|id| charge(id)).collect();
    expected.sort_by_key(ToString::to_string);
    assert_eq!(charged, expected);
}

#[tokio::test]
async fn faulty_requests_are_refused_and_do_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::in_folder(folder.path(), None).await;
    let order = json!({"orderId": "order-1", "totalAmount": 300, "currency": "KRW"});
    let with = |field: &str, value: Value| {
        let mut order = order.clone();
        order[field] = value;
        order
    };
    for (path, key, body) in [
        ("/payments/a/confirm", "", order.clone()),
        ("/payments/a/confirm", "b", order.clone()),
        ("/payments/a/confirm", "a", with("totalAmount", json!(0))),
        ("/payments/a/confirm", "a", with("totalAmount", json!(-1))),
        ("/payments/a/confirm", "a", with("currency", json!("USD"))),
        ("/payments/a/confirm", "a", with("orderId", json!(""))),
        ("/payments/a/confirm", "a", with("orderName", json!("a".repeat(70_000)))),
        ("/payments/a/confirm", "a", json!([])),
        ("/payments/a/cancel", "a", json!({})),
        ("/payments/a/cancel", "", json!({"reason": "no"})),
    ] {
        assert_eq!(provider.send(Method::POST, path, key, &body).await.0, 400, "{path} {key}");
    }
    assert_eq!(provider.behave(json!({"fault": "sleep"})).await, 400);
    assert_eq!(provider.get("/").await.0, 404);
    assert!(provider.ledger().await.is_empty());
}

#[tokio::test]
async fn provider_with_a_key_serves_only_callers_that_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::in_folder(folder.path(), Some("sk-1")).await;
    assert_eq!(provider.get("/livez").await.0, 200);
    for path in ["/payments/a", "/ledger", "/behaviour", "/calls"] {
        assert_eq!(provider.get(path).await.0, 401, "{path}");
        let url = format!("{}{path}", provider.url);
        let allowed = provider.client.get(url).bearer_auth("sk-1").send().await.unwrap();
        assert_ne!(allowed.status(), 401, "{path}");
    }
    assert_eq!(provider.confirm("a", 300).await.0, 401);
    assert_eq!(provider.behave(json!({})).await, 401);
}
