//! Requests to the routes that services have for each other (`/internal/…`): the service token, the time that is left for
//! the answer, and what an answer says that is no success.

use crate::http_client::{HttpAnswer, HttpCallError, HttpClient, HttpClientOptions};
use gdmarket_commands::Clock;
use gdmarket_domain::Service;
use gdmarket_service_token::{SERVICE_TOKEN, SharedKeys, TokenIssuer};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// The header with the milliseconds that the caller waits for the answer.
const TIMEOUT_MS: &str = "gdmarket-timeout-ms";

/// Whom a client calls, as whom, and within which limits.
#[derive(Debug, Clone)]
pub(crate) struct ServiceClientOptions {
    /// The address of the process that is called, without a path.
    pub(crate) url: String,
    /// A service of that process.
    pub(crate) audience: Service,
    /// The service that calls.
    pub(crate) caller: Service,
    /// The limits of a call; a request may have a limit of its own for its answer.
    pub(crate) http: HttpClientOptions,
}

/// A client of one process with services; cheap to clone.
#[derive(Clone)]
pub(crate) struct ServiceClient {
    http: HttpClient,
    tokens: TokenIssuer,
    clock: Arc<dyn Clock>,
    audience: Service,
    url: Arc<str>,
}

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceProblem {
    pub(crate) status: StatusCode,
    /// The code of the problem; empty if the answer has none.
    pub(crate) code: String,
    pub(crate) detail: String,
}

impl ServiceClient {
    /// A client with these options; it connects when it is first used.
    pub(crate) fn new(
        options: ServiceClientOptions,
        keys: SharedKeys,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let ServiceClientOptions { url, audience, caller, http } = options;
        let (http, tokens) = (HttpClient::new(http)?, TokenIssuer::new(caller, keys));
        Ok(Self { http, tokens, clock, audience, url: Arc::from(url.trim_end_matches('/')) })
    }

    /// The address of the process, without a path.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A request with a fresh token, whose answer is waited for so long. `path` begins with a slash.
    pub(crate) fn request(&self, method: Method, path: &str, within: Duration) -> RequestBuilder {
        let token = self.tokens.issue(self.audience, self.clock.now(), self.clock.new_id());
        let request = self.http.requests().request(method, format!("{}{path}", self.url));
        let request = request.header(SERVICE_TOKEN, token);
        request.header(TIMEOUT_MS, within.as_millis().to_string()).timeout(within)
    }

    /// Sends a request, once, and reads its answer.
    pub(crate) async fn call(&self, request: RequestBuilder) -> Result<HttpAnswer, HttpCallError> {
        self.http.call(request).await
    }
}

impl ServiceProblem {
    /// The problem of an answer that is no success.
    pub(crate) fn of(answer: &HttpAnswer) -> Self {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct ProblemAnswer {
            code: String,
            detail: String,
        }
        let ProblemAnswer { code, detail } =
            serde_json::from_slice(&answer.body).unwrap_or_default();
        Self { status: answer.status, code, detail }
    }

    /// Whether the same request may get another answer later.
    pub(crate) fn is_for_now(&self) -> bool {
        let status = self.status;
        status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
    }
}
