//! One HTTP client for calls to other processes: pooled connections, separate limits for connecting and for the answer,
//! a bounded body, and an error that says whether the request may have been received.

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use std::error::Error as _;
use std::time::Duration;

/// How long an idle connection is kept. It is shorter than servers keep theirs, so that a request rarely meets a
/// connection that the server is closing.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The limits of a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpClientOptions {
    /// How long connecting may take.
    pub(crate) connect_within: Duration,
    /// How long a call may take, from connecting to the last byte of its answer.
    pub(crate) answer_within: Duration,
    /// The largest body of an answer that is read, in bytes.
    pub(crate) largest_answer: usize,
}

/// A client; clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient {
    client: Client,
    largest_answer: usize,
}

/// An answer with its whole body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpAnswer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    /// `Retry-After`, in seconds.
    pub(crate) retry_after: Option<Duration>,
}

/// A call that has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HttpCallError {
    /// No connection came about, so nothing of the request was sent.
    #[error("no connection: {0}")]
    NotSent(String),
    /// The request may have been received: the connection ended, the time ran out, or the answer is too large.
    #[error("no answer: {0}")]
    Unanswered(String),
}

impl HttpClient {
    pub(crate) fn new(options: HttpClientOptions) -> Result<Self, reqwest::Error> {
        let HttpClientOptions { connect_within, answer_within, largest_answer } = options;
        let client = Client::builder()
            .connect_timeout(connect_within)
            .timeout(answer_within)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            // A redirected POST would be sent a second time, and a proxy of the environment is no setting of ours.
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()?;
        Ok(Self { client, largest_answer })
    }

    /// The builder of requests that [`HttpClient::call`] sends.
    pub(crate) const fn requests(&self) -> &Client {
        &self.client
    }

    /// Sends one request, once, and reads its answer.
    pub(crate) async fn call(&self, request: RequestBuilder) -> Result<HttpAnswer, HttpCallError> {
        let mut response = request.send().await.map_err(call_error)?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(call_error)? {
            if body.len() + piece.len() > self.largest_answer {
                let reason = format!("its body is larger than {} bytes", self.largest_answer);
                return Err(HttpCallError::Unanswered(reason));
            }
            body.extend_from_slice(&piece);
        }
        Ok(HttpAnswer { status, body, retry_after })
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The error with its causes, without the URL.
fn call_error(error: reqwest::Error) -> HttpCallError {
    let is_unsent = error.is_connect() || error.is_builder();
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        reason = format!("{reason}: {error}");
        cause = error.source();
    }
    if is_unsent { HttpCallError::NotSent(reason) } else { HttpCallError::Unanswered(reason) }
}
