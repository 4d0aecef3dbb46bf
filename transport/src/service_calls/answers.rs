//! What the answer of another service means. Only a connection that did not come about, and a refusal before the service
//! begins, are definite: everything else may have had its effect.

use crate::http_client::{HttpAnswer, HttpCallError};
use crate::service_client::{ServiceClient, ServiceProblem};
use gdmarket_commands::ServiceCallError;
use reqwest::RequestBuilder;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::Instant;

/// The codes of 5xx answers that a service gives before it begins.
const REFUSED_BEFORE_BEGINNING: [&str; 4] =
    ["overloaded", "unavailable", "payment-unavailable", "alarm-unavailable"];

/// Sends a request, once, and reads the answer of its success.
pub(super) async fn answer<T: DeserializeOwned>(
    client: &ServiceClient,
    request: RequestBuilder,
    within: Duration,
) -> Result<T, ServiceCallError> {
    let answer = success(client, request, within).await?;
    serde_json::from_slice(&answer.body).map_err(|error| {
        ServiceCallError::NoAnswer(format!("{} answers what can't be read: {error}", client.url()))
    })
}

/// Sends a request, once; an answer that is no success is an error.
pub(super) async fn success(
    client: &ServiceClient,
    request: RequestBuilder,
    within: Duration,
) -> Result<HttpAnswer, ServiceCallError> {
    let sent_at = Instant::now();
    match client.call(request).await {
        Ok(answer) if answer.status.is_success() => Ok(answer),
        Ok(answer) => Err(failure(client.url(), &answer)),
        Err(HttpCallError::NotSent(reason)) => Err(ServiceCallError::NotReached(reason)),
        Err(HttpCallError::Unanswered(reason)) if sent_at.elapsed() >= within => {
            Err(ServiceCallError::TimedOut(reason))
        }
        Err(HttpCallError::Unanswered(reason)) => Err(ServiceCallError::NoAnswer(reason)),
    }
}

fn failure(url: &str, answer: &HttpAnswer) -> ServiceCallError {
    let ServiceProblem { status, code, detail } = ServiceProblem::of(answer);
    let cause = format!("{url} answers {} {code}: {detail}", status.as_u16());
    if status.is_client_error() || REFUSED_BEFORE_BEGINNING.contains(&code.as_str()) {
        ServiceCallError::Refused { code, cause, retry_after: answer.retry_after }
    } else {
        ServiceCallError::NoAnswer(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::StatusCode;

    fn of(status: u16, code: &str) -> ServiceCallError {
        let answer = HttpAnswer {
            status: StatusCode::from_u16(status).unwrap(),
            body: format!("{{\"code\": \"{code}\"}}").into_bytes(),
            retry_after: Some(Duration::from_secs(3)),
        };
        failure("http://alarm", &answer)
    }

    #[test]
    fn refusal_before_the_beginning_is_definite() {
        for (status, code) in [
            (401, "service-token-refused"),
            (404, "not-found"),
            (422, "key-reused"),
            (503, "overloaded"),
            (503, "unavailable"),
            (503, "payment-unavailable"),
        ] {
            let error = of(status, code);
            assert!(error.is_without_effect(), "{status} {code}");
            assert_eq!(error.retry_after(), Some(Duration::from_secs(3)), "{status} {code}");
        }
        for (status, code) in [
            (500, "internal"),
            (503, "timed-out"),
            (503, "outcome-unknown"),
            (502, ""),
            (504, "no-answer"),
            (302, ""),
        ] {
            assert!(!of(status, code).is_without_effect(), "{status} {code}");
        }
    }
}
