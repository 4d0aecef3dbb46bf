//! The provider's routes: three for payments, and those with which a test or an operator looks at it and directs it.

use super::behaviour::{
    CurrentBehaviour, PlannedCall, ProviderBehaviour, ProviderFault, ProviderOperation,
};
use super::payments::{CURRENCY, OrderBody, PaymentAnswer, ProviderPayments, RefusedCall};
use super::responses::{
    ConnectionFault, ProviderBody, internal_error, json_answer, payment_answer, refusal,
};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The largest body that is read.
const LARGEST_BODY: usize = 64 * 1024;
/// The longest payment id and order id.
const LONGEST_ID: usize = 64;

/// Everything that the provider answers.
pub(super) struct Routes {
    payments: ProviderPayments,
    behaviour: CurrentBehaviour,
    key: Option<String>,
    /// How many calls each operation has received since the start.
    calls: Mutex<BTreeMap<ProviderOperation, u64>>,
}

/// Why money is given back.
#[derive(Deserialize)]
struct CancellationBody {
    #[serde(rename = "reason")]
    _reason: String,
}

/// An operation on a payment with its body.
enum PaymentCall {
    Confirm(OrderBody),
    Cancel,
    Find,
}

impl PaymentCall {
    const fn operation(&self) -> ProviderOperation {
        match self {
            Self::Confirm(_) => ProviderOperation::Confirm,
            Self::Cancel => ProviderOperation::Cancel,
            Self::Find => ProviderOperation::Find,
        }
    }
}

type Answered = Result<Response<ProviderBody>, ConnectionFault>;

impl Routes {
    pub(super) const fn new(
        payments: ProviderPayments,
        behaviour: CurrentBehaviour,
        key: Option<String>,
    ) -> Self {
        Self { payments, behaviour, key, calls: Mutex::new(BTreeMap::new()) }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answered {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        if segments == ["livez"] {
            return Ok(json_answer(200, &json!({"status": "up"})));
        }
        if let Err(refused) = self.authorise(&parts) {
            return Ok(refusal(&refused));
        }
        match (&parts.method, segments.as_slice()) {
            (&Method::GET, ["payments", id]) => self.operate(id, PaymentCall::Find).await,
            (&Method::POST, ["payments", id, "confirm"]) => match order(&parts, id, body).await {
                Ok(order) => self.operate(id, PaymentCall::Confirm(order)).await,
                Err(refused) => Ok(refusal(&refused)),
            },
            (&Method::POST, ["payments", id, "cancel"]) => match cancellation(&parts, body).await {
                Ok(_) => self.operate(id, PaymentCall::Cancel).await,
                Err(refused) => Ok(refusal(&refused)),
            },
            (&Method::PUT, ["behaviour"]) => Ok(self.change_behaviour(body).await),
            (method, segments) => Ok(self.look(method, segments)),
        }
    }

    /// The routes that only show something.
    fn look(&self, method: &Method, segments: &[&str]) -> Response<ProviderBody> {
        match (method, segments) {
            (&Method::GET, ["ledger"]) => {
                json_answer(200, &json!({"entries": self.payments.book.entries()}))
            }
            (&Method::GET, ["calls"]) => {
                let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
                json_answer(200, &*calls)
            }
            (&Method::GET, ["behaviour"]) => json_answer(200, &self.behaviour.get()),
            _ => refusal(&RefusedCall::new(404, "NOT_FOUND")),
        }
    }

    async fn change_behaviour(&self, body: Incoming) -> Response<ProviderBody> {
        match read::<ProviderBehaviour>(body).await {
            Ok(behaviour) => {
                tracing::debug!(?behaviour, "the behaviour changes");
                self.behaviour.set(behaviour);
                json_answer(200, &self.behaviour.get())
            }
            Err(refused) => refusal(&refused),
        }
    }

    fn authorise(&self, parts: &Parts) -> Result<(), RefusedCall> {
        let Some(key) = &self.key else { return Ok(()) };
        let sent = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let sent = sent.and_then(|value| value.strip_prefix("Bearer "));
        if sent == Some(key) { Ok(()) } else { Err(RefusedCall::new(401, "UNAUTHORIZED")) }
    }

    /// One operation: half of the delay, the effect, the other half, and the fault before or after it.
    async fn operate(&self, id: &str, payment_call: PaymentCall) -> Answered {
        let operation = payment_call.operation();
        let call = self.behaviour.plan(operation);
        self.count(operation);
        tracing::debug!(?operation, id, fault = ?call.fault, "called");
        match call.fault {
            ProviderFault::DropBefore => return Err(ConnectionFault::Drop),
            ProviderFault::ResetBefore => return Err(ConnectionFault::Reset),
            ProviderFault::ErrorBefore => return Ok(internal_error()),
            ProviderFault::Hang => return std::future::pending().await,
            ProviderFault::Refuse => {
                return Ok(refusal(&RefusedCall::new(400, "INVALID_REQUEST")));
            }
            _ => {}
        }
        let (payments, payment_id) = (self.payments.clone(), id.to_owned());
        // What was received takes effect whether or not its caller still waits, so it is a task of its own.
        let effect =
            tokio::spawn(async move { effect(&payments, &payment_id, payment_call, call).await });
        let done = effect.await.unwrap_or_else(|_| Err(RefusedCall::new(500, "INTERNAL_ERROR")));
        tokio::time::sleep(call.half_delay).await;
        if call.fault == ProviderFault::Late {
            tokio::time::sleep(call.late).await;
        }
        payment_answer(call, done)
    }

    fn count(&self, operation: ProviderOperation) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry(operation).or_default() += 1;
    }
}

/// What the call does to the payment, which no other call works on meanwhile.
async fn effect(
    payments: &ProviderPayments,
    payment_id: &str,
    payment_call: PaymentCall,
    call: PlannedCall,
) -> PaymentAnswer {
    let declines = call.fault == ProviderFault::Decline;
    match payment_call {
        PaymentCall::Find => {
            tokio::time::sleep(call.half_delay).await;
            payments.find_settled(payment_id)
        }
        PaymentCall::Confirm(order) => {
            let lock = payments.lock(payment_id)?;
            tokio::time::sleep(call.half_delay).await;
            payments.confirm(&lock, &order, declines).await
        }
        PaymentCall::Cancel => {
            let lock = payments.lock(payment_id)?;
            tokio::time::sleep(call.half_delay).await;
            payments.cancel(&lock, declines).await
        }
    }
}

/// The order to charge. The id of a payment is the idempotency key that it is confirmed with.
async fn order(parts: &Parts, payment_id: &str, body: Incoming) -> Result<OrderBody, RefusedCall> {
    if idempotency_key(parts)? != payment_id {
        return Err(RefusedCall::new(400, "INVALID_IDEMPOTENCY_KEY"));
    }
    let order: OrderBody = read(body).await?;
    let is_id = |text: &str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !text.is_empty() && text.len() <= LONGEST_ID && text.chars().all(is_plain)
    };
    let is_valid = is_id(payment_id)
        && is_id(&order.order_id)
        && order.total_amount > 0
        && order.currency == CURRENCY;
    if is_valid { Ok(order) } else { Err(RefusedCall::new(400, "INVALID_REQUEST")) }
}

async fn cancellation(parts: &Parts, body: Incoming) -> Result<CancellationBody, RefusedCall> {
    idempotency_key(parts)?;
    read(body).await
}

fn idempotency_key(parts: &Parts) -> Result<&str, RefusedCall> {
    let key = parts.headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    key.filter(|key| !key.is_empty())
        .ok_or_else(|| RefusedCall::new(400, "INVALID_IDEMPOTENCY_KEY"))
}

async fn read<T: DeserializeOwned>(body: Incoming) -> Result<T, RefusedCall> {
    let invalid = || RefusedCall::new(400, "INVALID_REQUEST");
    let bytes = Limited::new(body, LARGEST_BODY).collect().await.map_err(|_| invalid())?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| {
        tracing::debug!(%error, "a body that can't be read");
        invalid()
    })
}
