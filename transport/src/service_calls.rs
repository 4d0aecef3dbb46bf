//! The calls of one service to another over HTTP, while a caller waits: to the alarm service, and to the payment
//! service (docs/adr/0032). A call is sent once; what a failed one means is decided by the caller.

mod alarm_service;
mod answers;
mod payment_service;

pub use alarm_service::HttpAlarmService;
pub use payment_service::HttpPaymentService;

use crate::http_client::HttpClientOptions;
use crate::service_client::{ServiceClient, ServiceClientOptions};
use gdmarket_commands::{Clock, CommandMeta};
use gdmarket_domain::Service;
use gdmarket_service_token::SharedKeys;
use reqwest::RequestBuilder;
use std::sync::Arc;
use std::time::Duration;

/// How long connecting may take. Nothing is sent before, so that a host without an answer is a definite failure.
const CONNECT_WITHIN: Duration = Duration::from_millis(300);
/// The limit of an answer for which a call has none of its own.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Why there can be no client of a service.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client of another service: {0}")]
pub struct ServiceCallsError(#[from] reqwest::Error);

/// Who calls whom, and where.
struct Callee<'a> {
    url: &'a str,
    caller: Service,
    audience: Service,
}

fn client(
    callee: &Callee<'_>,
    keys: SharedKeys,
    clock: Arc<dyn Clock>,
) -> Result<ServiceClient, ServiceCallsError> {
    let Callee { url, caller, audience } = *callee;
    let http = HttpClientOptions {
        connect_within: CONNECT_WITHIN,
        answer_within: ANSWER_WITHIN,
        largest_answer: LARGEST_ANSWER,
    };
    let options = ServiceClientOptions { url: url.to_owned(), audience, caller, http };
    Ok(ServiceClient::new(options, keys, clock)?)
}

/// The request of a command: its id, by which a repeat is recognised, and its trace.
fn with_command(request: RequestBuilder, meta: &CommandMeta) -> RequestBuilder {
    let request = request.header("idempotency-key", meta.command_id.to_string());
    match &meta.traceparent {
        Some(traceparent) => request.header("traceparent", traceparent),
        None => request,
    }
}
