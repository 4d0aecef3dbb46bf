//! The payment gateway over HTTP against providers that answer in every wrong way: what is definite, what is unknown,
//! and that no request is sent twice.
#![expect(clippy::unwrap_used, reason = "tests")]

use gdmarket_commands::{Charge, Confirmation, GatewayError, PaymentGateway};
use gdmarket_domain::{Money, PaymentNo, ReservationNo};
use gdmarket_testkit::free_port;
use gdmarket_transport::{HttpPaymentGateway, HttpPaymentGatewayOptions};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

const KEY: Uuid = Uuid::from_u128(7);
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// A provider that sends the same bytes to each request and then closes the connection.
struct CannedProvider {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl CannedProvider {
    async fn start(answer: Vec<u8>, hangs: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let received = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = receive(&mut stream).await;
                received.lock().unwrap().push(request);
                drop(stream.write_all(&answer).await);
                if hangs {
                    // The caller ends the connection.
                    drop(stream.read(&mut [0]).await);
                }
            }
        });
        Self { url, requests }
    }

    async fn answering(status: u16, body: &str) -> Self {
        Self::start(http(status, "", body), false).await
    }

    fn gateway(&self) -> HttpPaymentGateway {
        gateway(&self.url)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn http(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body.as_bytes()].concat()
}

/// One request with its body.
async fn receive(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&received).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        if stream.read_buf(&mut received).await.unwrap() == 0 {
            return text;
        }
    }
}

fn gateway(url: &str) -> HttpPaymentGateway {
    let key = Some("sk-test".to_owned().into());
    let url = url.to_owned();
    HttpPaymentGateway::new(HttpPaymentGatewayOptions { url, key, answer_within: ANSWER_WITHIN })
        .unwrap()
}

fn charge() -> Charge {
    Charge {
        payment_no: PaymentNo::new(17).unwrap(),
        reservation_no: ReservationNo::new(3).unwrap(),
        amount: Money::price(300).unwrap(),
    }
}

fn confirmation() -> Confirmation {
    let Charge { payment_no, amount, .. } = charge();
    Confirmation { key: KEY, payment_no, amount }
}

fn payment(status: &str) -> Value {
    json!({
        "paymentId": KEY, "orderId": "gdmarket-17", "status": status, "currency": "KRW",
        "totalAmount": 300, "cancelledAmount": if status == "CANCELLED" { 300 } else { 0 },
        "paidAt": "2026-11-30T12:00:00Z",
    })
}

fn refusal(code: &str) -> String {
    json!({"code": code, "message": "no"}).to_string()
}

/// The three calls in short: `ok`, `none`, `declined CODE`, `unknown` or `unreachable`.
async fn outcomes(gateway: &HttpPaymentGateway) -> [String; 3] {
    let confirmed = gateway.confirm(KEY, &charge()).await.map(Some);
    let cancelled = gateway.cancel(KEY).await.map(Some);
    [confirmed, cancelled, gateway.find(KEY).await].map(|outcome| match outcome {
        Ok(Some(found)) if found == confirmation() => "ok".to_owned(),
        Ok(Some(found)) => format!("{found:?}"),
        Ok(None) => "none".to_owned(),
        Err(GatewayError::Declined(code)) => format!("declined {code}"),
        Err(GatewayError::Unknown(_)) => "unknown".to_owned(),
        Err(GatewayError::Unreachable(_)) => "unreachable".to_owned(),
    })
}

#[tokio::test]
async fn refused_connection_is_definite() {
    let gateway = gateway(&format!("http://127.0.0.1:{}", free_port()));
    assert_eq!(outcomes(&gateway).await, ["unreachable"; 3]);
}

#[tokio::test]
async fn payment_in_each_status_is_read_as_the_provider_means_it() {
    for (status, expected) in [
        ("PAID", ["ok", "unknown", "ok"]),
        ("CANCELLED", ["unknown", "ok", "ok"]),
        ("FAILED", ["unknown", "unknown", "none"]),
        ("PENDING", ["unknown"; 3]),
    ] {
        let provider = CannedProvider::answering(200, &payment(status).to_string()).await;
        assert_eq!(outcomes(&provider.gateway()).await, expected, "{status}");
    }
}

#[tokio::test]
async fn refusal_in_the_providers_form_is_definite_and_any_other_is_unknown() {
    for (status, body, expected) in [
        (
            402,
            refusal("CARD_DECLINED"),
            ["declined CARD_DECLINED", "declined CARD_DECLINED", "unknown"],
        ),
        (400, refusal("BAD"), ["declined BAD", "declined BAD", "unknown"]),
        (422, refusal("NO"), ["declined NO", "declined NO", "unknown"]),
        (404, refusal("PAYMENT_NOT_FOUND"), ["unknown", "declined PAYMENT_NOT_FOUND", "none"]),
        (404, refusal("NOT_FOUND"), ["unknown"; 3]),
        (404, "<html>".to_owned(), ["unknown"; 3]),
        (402, "<html>".to_owned(), ["unknown"; 3]),
        (402, String::new(), ["unknown"; 3]),
        (401, refusal("UNAUTHORIZED"), ["unknown"; 3]),
        (403, refusal("FORBIDDEN"), ["unknown"; 3]),
        (409, refusal("PAYMENT_IN_PROGRESS"), ["unknown"; 3]),
        (429, refusal("TOO_MANY"), ["unknown"; 3]),
        (500, refusal("CARD_DECLINED"), ["unknown"; 3]),
        (503, refusal("CARD_DECLINED"), ["unknown"; 3]),
        (201, payment("PAID").to_string(), ["unknown"; 3]),
        (204, String::new(), ["unknown"; 3]),
    ] {
        let provider = CannedProvider::answering(status, &body).await;
        assert_eq!(outcomes(&provider.gateway()).await, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn answer_that_is_no_payment_in_won_is_unknown() {
    let other = |field: &str, value: Value| {
        let mut payment = payment("PAID");
        payment[field] = value;
        payment.to_string()
    };
    for body in [
        other("currency", json!("USD")),
        other("totalAmount", json!(-300)),
        other("totalAmount", json!(300.5)),
        other("totalAmount", json!("300")),
        other("orderId", json!("17")),
        other("orderId", json!("gdmarket-0")),
        other("paymentId", json!("7")),
        other("status", json!(null)),
        "{}".to_owned(),
        "[]".to_owned(),
        "<html>".to_owned(),
        String::new(),
    ] {
        let provider = CannedProvider::answering(200, &body).await;
        assert_eq!(outcomes(&provider.gateway()).await, ["unknown"; 3], "{body}");
    }
}

/// The market compares it with its request, reports the difference, and takes it neither as a yes nor as a no.
#[tokio::test]
async fn another_amount_order_or_payment_reaches_the_caller_as_it_is() {
    let mut answer = payment("PAID");
    answer["totalAmount"] = json!(301);
    answer["orderId"] = json!("gdmarket-18");
    answer["paymentId"] = json!(Uuid::from_u128(8));
    let provider = CannedProvider::answering(200, &answer.to_string()).await;
    let confirmed = provider.gateway().confirm(KEY, &charge()).await.unwrap();
    assert_eq!(
        confirmed,
        Confirmation {
            key: Uuid::from_u128(8),
            payment_no: PaymentNo::new(18).unwrap(),
            amount: Money::price(301).unwrap(),
        }
    );
}

#[tokio::test]
async fn connection_that_ends_before_the_whole_answer_is_unknown_and_nothing_is_sent_twice() {
    let whole = http(200, "", &payment("PAID").to_string());
    for end in [0, 9, whole.len() / 2, whole.len() - 1] {
        let provider = CannedProvider::start(whole[..end].to_vec(), false).await;
        assert_eq!(outcomes(&provider.gateway()).await, ["unknown"; 3], "{end}");
        assert_eq!(provider.requests().len(), 3, "{end}");
    }
}

#[tokio::test]
async fn answer_that_does_not_come_or_does_not_end_is_unknown_within_the_limit() {
    let whole = http(200, "", &payment("PAID").to_string());
    for end in [0, whole.len() - 1] {
        let provider = CannedProvider::start(whole[..end].to_vec(), true).await;
        let gateway = provider.gateway();
        let limit = ANSWER_WITHIN * 3 + Duration::from_secs(5);
        let ended = tokio::time::timeout(limit, outcomes(&gateway)).await.unwrap();
        assert_eq!(ended, ["unknown"; 3], "{end}");
    }
}

#[tokio::test]
async fn large_answer_is_read_up_to_its_limit() {
    let mut padded = payment("PAID");
    padded["padding"] = json!("a".repeat(60 * 1024));
    let provider = CannedProvider::answering(200, &padded.to_string()).await;
    assert_eq!(outcomes(&provider.gateway()).await[0], "ok");
    padded["padding"] = json!("a".repeat(64 * 1024));
    let provider = CannedProvider::answering(200, &padded.to_string()).await;
    assert_eq!(outcomes(&provider.gateway()).await, ["unknown"; 3]);
}

#[tokio::test]
async fn redirection_is_not_followed() {
    let other = CannedProvider::answering(200, &payment("PAID").to_string()).await;
    for status in [301, 302, 307, 308] {
        let location = format!("location: {}\r\n", other.url);
        let provider = CannedProvider::start(http(status, &location, ""), false).await;
        assert_eq!(outcomes(&provider.gateway()).await, ["unknown"; 3], "{status}");
    }
    assert_eq!(other.requests(), [""; 0]);
}

#[tokio::test]
async fn requests_carry_the_key_of_the_market_and_of_the_attempt() {
    let provider = CannedProvider::answering(200, &payment("PAID").to_string()).await;
    outcomes(&provider.gateway()).await;
    let requests = provider.requests();
    let lines = [
        format!("POST /payments/{KEY}/confirm HTTP/1.1"),
        format!("POST /payments/{KEY}/cancel HTTP/1.1"),
        format!("GET /payments/{KEY} HTTP/1.1"),
    ];
    for (request, line) in requests.iter().zip(&lines) {
        assert!(request.starts_with(line), "{request}");
        assert!(request.contains("authorization: Bearer sk-test\r\n"), "{request}");
    }
    assert!(requests[0].contains(&format!("idempotency-key: {KEY}\r\n")), "{}", requests[0]);
    assert!(requests[1].contains(&format!("idempotency-key: refund-{KEY}\r\n")), "{}", requests[1]);
    let (_, body) = requests[0].split_once("\r\n\r\n").unwrap();
    let order = json!({
        "orderId": "gdmarket-17", "orderName": "reservation 3", "totalAmount": 300, "currency": "KRW",
    });
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), order);
    let shown = format!("{:?}", provider.gateway());
    assert!(!shown.contains("sk-test"), "{shown}");
}
