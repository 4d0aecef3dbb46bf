//! Calls of another service against one that misbehaves: what is sent, and what each failure is taken for.
#![expect(clippy::unwrap_used, reason = "a test's helper that can't do its work fails its test")]

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use gdmarket_commands::{
    AlarmAnswer, AttemptAnswer, Causation, Clock as _, CommandMeta, PaymentAttempt, Precondition,
    RemoteAlarmService as _, RemotePaymentService as _, ServiceCallError, SystemClock,
};
use gdmarket_domain::{Actor, ItemNo, Money, PaymentNo, ReservationNo, Service, Services};
use gdmarket_service_token::{SERVICE_TOKEN, ServiceKeys, SharedKeys, TokenVerifier};
use gdmarket_transport::{HttpAlarmService, HttpPaymentService};
use reqwest::StatusCode;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use uuid::Uuid;

const WITHIN: Duration = Duration::from_secs(20);
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What the other service answers.
#[derive(Clone)]
enum Behaviour {
    Answer(StatusCode, &'static str),
    /// It never answers.
    Silence,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
struct Received {
    path: String,
    headers: axum::http::HeaderMap,
    body: serde_json::Value,
    from: SocketAddr,
}

/// Another service.
struct StubService {
    url: String,
    behaviour: Arc<Mutex<Behaviour>>,
    received: Arc<Mutex<Vec<Received>>>,
}

type StubState = (Arc<Mutex<Behaviour>>, Arc<Mutex<Vec<Received>>>);

impl StubService {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let behaviour = Arc::new(Mutex::new(Behaviour::Silence));
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let state = (Arc::clone(&behaviour), Arc::clone(&received));
        let routes = Router::new().fallback(any(answer)).with_state(state);
        let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, behaviour, received }
    }

    fn answers(&self, status: u16, body: &'static str) {
        let status = StatusCode::from_u16(status).unwrap();
        *self.behaviour.lock().unwrap() = Behaviour::Answer(status, body);
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    fn alarms(&self) -> HttpAlarmService {
        HttpAlarmService::new(&self.url, keys(), Arc::new(SystemClock)).unwrap()
    }

    fn payments(&self) -> HttpPaymentService {
        HttpPaymentService::new(&self.url, keys(), Arc::new(SystemClock)).unwrap()
    }
}

async fn answer(
    State((behaviour, received)): State<StubState>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: axum::extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let path = parts.uri.path().to_owned();
    received.lock().unwrap().push(Received { path, headers: parts.headers, body, from });
    let behaviour = behaviour.lock().unwrap().clone();
    match behaviour {
        Behaviour::Answer(status, body) => (status, [("retry-after", "3")], body).into_response(),
        Behaviour::Silence => std::future::pending().await,
    }
}

fn keys() -> SharedKeys {
    let text = format!("current = \"{}\"", "a1".repeat(32));
    SharedKeys::new(ServiceKeys::from_toml(&text).unwrap())
}

fn meta() -> CommandMeta {
    CommandMeta {
        command_id: Uuid::from_u128(7),
        correlation_id: Uuid::from_u128(8),
        causation: Some(Causation { source: "log".to_owned(), position: 9 }),
        actor: Actor::Operator("local".to_owned()),
        traceparent: Some(TRACE.to_owned()),
        fingerprint: vec![1; 32],
        precondition: Precondition::default(),
        keyed: true,
    }
}

fn item() -> ItemNo {
    ItemNo::new(5).unwrap()
}

fn attempt() -> PaymentAttempt {
    PaymentAttempt {
        payment_no: PaymentNo::new(1).unwrap(),
        reservation_no: ReservationNo::new(2).unwrap(),
        item_no: item(),
        amount: Money::price(300).unwrap(),
    }
}

#[tokio::test]
async fn call_carries_token_time_command_and_trace_on_a_pooled_connection() {
    let stub = StubService::start().await;
    let (alarms, payments) = (stub.alarms(), stub.payments());
    stub.answers(200, r#"{"result": "raised", "itemNo": 4}"#);
    let raised = AlarmAnswer::Raised { item_no: ItemNo::new(4).unwrap() };
    for _ in 0..2 {
        assert_eq!(alarms.raise(item(), WITHIN, &meta()).await, Ok(raised));
    }
    stub.answers(200, r#"{"outcome": "declined", "code": "no-money"}"#);
    let declined = AttemptAnswer::Declined { code: "no-money".to_owned() };
    assert_eq!(payments.attempt(&attempt(), WITHIN, &meta()).await, Ok(declined.clone()));
    assert_eq!(payments.outcome(&attempt(), WITHIN).await, Ok(declined));
    stub.answers(204, "");
    assert_eq!(payments.admission(WITHIN).await, Ok(()));

    let received = stub.received();
    let paths: Vec<&str> = received.iter().map(|request| request.path.as_str()).collect();
    let raise = "/internal/alarms/5/raise";
    let [attempt, outcome] = ["/internal/payments/1/attempt", "/internal/payments/1/outcome"];
    assert_eq!(paths, [raise, raise, attempt, outcome, "/internal/payments/admission"]);
    for request in &received {
        let service = if request.path == raise { Service::Alarm } else { Service::Payment };
        let header = |name: &str| request.headers.get(name).unwrap().to_str().unwrap();
        let tokens = TokenVerifier::new(Services::of(&[service]), keys());
        let accepted = tokens.verify(header(SERVICE_TOKEN), SystemClock.now());
        assert!(accepted.is_ok(), "{request:?}");
        assert_eq!(header("gdmarket-timeout-ms"), "20000");
    }
    for request in received.iter().take(3) {
        let header = |name: &str| request.headers.get(name).unwrap().to_str().unwrap();
        assert_eq!(header("idempotency-key"), Uuid::from_u128(7).to_string());
        assert_eq!(header("traceparent"), TRACE);
        assert_eq!(request.body["context"]["actor"], "operator:local");
    }
    let from: Vec<_> = received.iter().map(|request| request.from).collect();
    assert_eq!((from.first(), from.get(2)), (from.get(1), from.get(3)), "connections are kept");
    let content = serde_json::json!({"reservationNo": 2, "itemNo": 5, "amount": 300});
    assert_eq!(received.get(3).map(|request| &request.body), Some(&content));
}

#[tokio::test]
async fn only_a_missing_connection_and_a_refusal_before_the_beginning_are_without_effect() {
    let stub = StubService::start().await;
    let payments = stub.payments();
    let refusal = r#"{"code": "payment-unavailable", "detail": "later"}"#;
    for (status, body, is_without_effect) in [
        (503, refusal, true),
        (401, r#"{"code": "service-token-refused"}"#, true),
        (404, "", true),
        (503, r#"{"code": "timed-out"}"#, false),
        (500, "", false),
        (502, "<html>", false),
        (200, "garbage", false),
        (200, r#"{"outcome": "perhaps"}"#, false),
    ] {
        stub.answers(status, body);
        let failed = payments.attempt(&attempt(), WITHIN, &meta()).await.unwrap_err();
        assert_eq!(failed.is_without_effect(), is_without_effect, "{status} {body}: {failed}");
        let wait = failed.retry_after();
        assert_eq!(wait, is_without_effect.then_some(Duration::from_secs(3)), "{status} {body}");
    }
    assert_eq!(stub.received().len(), 8, "each call was sent once");
}

#[tokio::test]
async fn silence_is_no_answer_in_time_and_a_closed_port_is_not_reached() {
    let stub = StubService::start().await;
    let slow = stub.alarms().raise(item(), Duration::from_millis(100), &meta()).await;
    assert!(matches!(slow, Err(ServiceCallError::TimedOut(_))), "{slow:?}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let nowhere = HttpAlarmService::new(&url, keys(), Arc::new(SystemClock)).unwrap();
    let refused = nowhere.raise(item(), WITHIN, &meta()).await;
    assert!(matches!(refused, Err(ServiceCallError::NotReached(_))), "{refused:?}");
}
