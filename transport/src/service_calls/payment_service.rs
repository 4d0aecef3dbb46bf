//! The payment service over HTTP.

use super::answers::{answer, success};
use super::{Callee, ServiceCallsError, client, with_command};
use crate::service_client::ServiceClient;
use async_trait::async_trait;
use gdmarket_commands::{
    AttemptAnswer, AttemptContent, AttemptRequest, CallContext, Clock, CommandMeta, PaymentAttempt,
    RemotePaymentService, ServiceCallError,
};
use gdmarket_domain::Service;
use gdmarket_service_token::SharedKeys;
use reqwest::Method;
use std::sync::Arc;
use std::time::Duration;

/// The payment service at a URL, as the reservation service calls it.
#[derive(Clone)]
pub struct HttpPaymentService(ServiceClient);

impl HttpPaymentService {
    /// A client that connects when it is called.
    pub fn new(
        url: &str,
        keys: SharedKeys,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServiceCallsError> {
        let callee = Callee { url, caller: Service::Reservation, audience: Service::Payment };
        Ok(Self(client(&callee, keys, clock)?))
    }
}

#[async_trait]
impl RemotePaymentService for HttpPaymentService {
    async fn admission(&self, within: Duration) -> Result<(), ServiceCallError> {
        let request = self.0.request(Method::GET, "/internal/payments/admission", within);
        success(&self.0, request, within).await.map(drop)
    }

    async fn attempt(
        &self,
        attempt: &PaymentAttempt,
        within: Duration,
        meta: &CommandMeta,
    ) -> Result<AttemptAnswer, ServiceCallError> {
        let path = format!("/internal/payments/{}/attempt", attempt.payment_no);
        let request = with_command(self.0.request(Method::POST, &path, within), meta);
        let content = AttemptContent::of(attempt);
        let request = request.json(&AttemptRequest { content, context: CallContext::of(meta) });
        answer(&self.0, request, within).await
    }

    async fn outcome(
        &self,
        attempt: &PaymentAttempt,
        within: Duration,
    ) -> Result<AttemptAnswer, ServiceCallError> {
        let path = format!("/internal/payments/{}/outcome", attempt.payment_no);
        let request = self.0.request(Method::POST, &path, within);
        answer(&self.0, request.json(&AttemptContent::of(attempt)), within).await
    }
}
