//! Reads pages of another service's log: the connection, the token, the limits of time and size.

use crate::http_client::HttpClientOptions;
use crate::service_client::{ServiceClient, ServiceClientOptions, ServiceProblem};
use gdmarket_commands::Clock;
use gdmarket_domain::{Service, Services};
use gdmarket_projections::{FeedError, LogPage, MAX_LOG_PAGE};
use gdmarket_service_token::SharedKeys;
use reqwest::{Method, StatusCode};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of a page. An owner sends some 4 MiB of events, which may be longer as JSON.
const MAX_PAGE: usize = 32 * 1024 * 1024;

/// Where a log is read, and within which limits.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// The services whose events are read there.
    pub services: Services,
    /// The address of their process, without a path: `http://reservation:8082`.
    pub url: String,
    /// The service that reads.
    pub caller: Service,
    /// The services of this process: another process that has one of them, too, is refused.
    pub own_services: Services,
    /// How often the owner is asked for its newest position, and how long it may wait with its answer for one.
    pub poll_interval: Duration,
    /// The limit of a connection.
    pub connect_within: Duration,
    /// The limit of an answer.
    pub answer_within: Duration,
}

impl SourceOptions {
    /// The usual limits.
    pub fn new(services: Services, url: impl Into<String>, caller: Service) -> Self {
        Self {
            services,
            url: url.into().trim_end_matches('/').to_owned(),
            caller,
            own_services: Services::of(&[caller]),
            poll_interval: Duration::from_secs(1),
            connect_within: Duration::from_secs(1),
            answer_within: Duration::from_secs(5),
        }
    }
}

/// A page to read.
#[derive(Debug, Clone, Copy)]
pub struct LogQuery {
    /// The position that it begins after.
    pub after: i64,
    /// The most events of it.
    pub limit: u32,
    /// How long the owner waits for the first event.
    pub wait: Duration,
}

/// Reads pages of another service's log; cheap to clone.
#[derive(Clone)]
pub struct SourceClient {
    owner: ServiceClient,
    options: Arc<SourceOptions>,
}

impl fmt::Debug for SourceClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceClient").field("options", &self.options).finish_non_exhaustive()
    }
}

impl SourceClient {
    /// A client for these options; `None` if they name no service, or the system gives no client.
    pub fn new(options: SourceOptions, keys: SharedKeys, clock: Arc<dyn Clock>) -> Option<Self> {
        let owner = ServiceClientOptions {
            url: options.url.clone(),
            audience: options.services.iter().next()?,
            caller: options.caller,
            http: HttpClientOptions {
                connect_within: options.connect_within,
                answer_within: options.answer_within,
                largest_answer: MAX_PAGE,
            },
        };
        let owner = ServiceClient::new(owner, keys, clock).ok()?;
        Some(Self { owner, options: Arc::new(options) })
    }

    pub(super) fn services(&self) -> Services {
        self.options.services
    }

    pub(super) fn own_services(&self) -> Services {
        self.options.own_services
    }

    pub(super) fn url(&self) -> &str {
        self.owner.url()
    }

    pub(super) fn poll_interval(&self) -> Duration {
        self.options.poll_interval
    }

    /// Reads a page. Its events are not looked at.
    pub async fn page(&self, query: LogQuery) -> Result<LogPage, FeedError> {
        let LogQuery { after, limit, wait } = query;
        let (limit, wait_ms) = (limit.clamp(1, MAX_LOG_PAGE), wait.as_millis());
        // The owner waits for half of the caller's time at most.
        let within = self.options.answer_within.saturating_add(wait.saturating_mul(2));
        let path = format!("/internal/log?after={after}&limit={limit}&wait_ms={wait_ms}");
        self.get(&path, within).await
    }

    /// The page that a path is answered with.
    pub(super) async fn get(&self, path: &str, within: Duration) -> Result<LogPage, FeedError> {
        let answer = self.owner.call(self.owner.request(Method::GET, path, within)).await;
        let answer = answer.map_err(|error| {
            FeedError::Unreachable(format!("{} can't be read: {error}", self.url()))
        })?;
        if answer.status != StatusCode::OK {
            return Err(self.problem(path, &ServiceProblem::of(&answer)));
        }
        LogPage::parse(&answer.body).map_err(|fault| {
            FeedError::Refused(format!("{} sent what is no page of a log: {fault}", self.url()))
        })
    }

    /// The error of an answer that is no page. One that the same request may get another answer after is waited for.
    fn problem(&self, path: &str, problem: &ServiceProblem) -> FeedError {
        let ServiceProblem { status, code, detail } = problem;
        let (url, status) = (self.url(), status.as_u16());
        let text = match code.as_str() {
            "not-found" => {
                let route = path.split('?').next().unwrap_or(path);
                format!("{url} has no {route}: it has no services.keys_file")
            }
            "" => format!("{url} answers {status}"),
            code => format!("{url} answers {status} {code}: {detail}"),
        };
        if problem.is_for_now() { FeedError::Unreachable(text) } else { FeedError::Refused(text) }
    }
}
