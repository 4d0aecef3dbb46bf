//! The payment gateway over HTTP: the three calls of [`PaymentGateway`] as requests to a payment provider.
//!
//! Only a connection that did not come about, and a refusal in the provider's own form, are definite. Everything else
//! may have had its effect, and is settled by asking (docs/adr/0029).

mod messages;
mod outcomes;

use crate::http_client::{HttpAnswer, HttpCallError, HttpClient, HttpClientOptions};
use async_trait::async_trait;
use gdmarket_commands::{Charge, Confirmation, GatewayError, PaymentGateway};
use messages::{ProviderCancellation, ProviderOrder};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;
use uuid::Uuid;

/// How long connecting may take: a packet that is lost is sent again after one second, and after three.
const CONNECT_WITHIN: Duration = Duration::from_millis(3_500);
/// The largest answer that is read; a payment has a few hundred bytes.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Where the provider is, and its limit.
#[derive(Debug, Clone)]
pub struct HttpPaymentGatewayOptions {
    /// The URL before `/payments/…`, without a slash at its end.
    pub url: String,
    /// The key that the provider knows this market by; it is sent as a bearer token.
    pub key: Option<SecretString>,
    /// How long a call may take.
    pub answer_within: Duration,
}

/// Why there can be no gateway with these options.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client of the payment provider: {0}")]
pub struct HttpPaymentGatewayError(#[from] reqwest::Error);

/// A payment provider that is another process.
#[derive(Debug, Clone)]
pub struct HttpPaymentGateway {
    client: HttpClient,
    url: String,
    key: Option<SecretString>,
}

impl HttpPaymentGateway {
    /// A gateway that connects when it is called.
    pub fn new(options: HttpPaymentGatewayOptions) -> Result<Self, HttpPaymentGatewayError> {
        let HttpPaymentGatewayOptions { url, key, answer_within } = options;
        let client = HttpClient::new(HttpClientOptions {
            connect_within: CONNECT_WITHIN.min(answer_within),
            answer_within,
            largest_answer: LARGEST_ANSWER,
        })?;
        Ok(Self { client, url, key })
    }

    fn post(&self, key: Uuid, operation: &str) -> RequestBuilder {
        self.client.requests().post(format!("{}/payments/{key}/{operation}", self.url))
    }

    /// Sends the request, and logs why there is no usable answer; `read` finds the outcome in the answer.
    async fn call<T>(
        &self,
        operation: &'static str,
        key: Uuid,
        request: RequestBuilder,
        read: impl FnOnce(&HttpAnswer) -> Result<T, GatewayError> + Send,
    ) -> Result<T, GatewayError> {
        let request = match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        };
        let answered = self.client.call(request).await.map_err(|error| match error {
            HttpCallError::NotSent(reason) => GatewayError::Unreachable(reason),
            HttpCallError::Unanswered(reason) => GatewayError::Unknown(reason),
        });
        let outcome = answered.and_then(|answer| {
            if answer.status == StatusCode::UNAUTHORIZED || answer.status == StatusCode::FORBIDDEN {
                tracing::error!(
                    operation, %key,
                    "the payment provider refuses this market's key: correct payment.provider_key"
                );
            }
            read(&answer)
        });
        match &outcome {
            Err(GatewayError::Unreachable(reason)) => {
                tracing::warn!(operation, %key, reason, "the payment provider can't be reached");
            }
            Err(GatewayError::Unknown(reason)) => {
                tracing::warn!(
                    operation, %key, reason,
                    "the payment provider gives no usable answer; the outcome is unknown"
                );
            }
            Ok(_) | Err(GatewayError::Declined(_)) => {}
        }
        outcome
    }
}

#[async_trait]
impl PaymentGateway for HttpPaymentGateway {
    async fn confirm(&self, key: Uuid, charge: &Charge) -> Result<Confirmation, GatewayError> {
        let request = self.post(key, "confirm").header("Idempotency-Key", key.to_string());
        let request = request.json(&ProviderOrder::of(charge));
        self.call("confirm", key, request, outcomes::confirmed).await
    }

    async fn cancel(&self, key: Uuid) -> Result<Confirmation, GatewayError> {
        let request = self.post(key, "cancel").header("Idempotency-Key", format!("refund-{key}"));
        let request = request.json(&ProviderCancellation::whole());
        self.call("cancel", key, request, outcomes::cancelled).await
    }

    async fn find(&self, key: Uuid) -> Result<Option<Confirmation>, GatewayError> {
        let request = self.client.requests().get(format!("{}/payments/{key}", self.url));
        self.call("find", key, request, outcomes::found).await
    }
}
