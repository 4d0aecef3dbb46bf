//! Whether a source can be read: its metrics, and one log line when that changes.

use super::source_client::SourceClient;
use gdmarket_domain::Services;
use gdmarket_projections::FeedError;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What is known about a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceCondition {
    /// It wasn't asked yet.
    Unknown,
    /// It was read.
    Readable,
    /// It doesn't answer.
    Unreachable,
    /// It answers with what this process refuses.
    Refused,
}

/// How the last read of a source ended.
#[derive(Debug, Clone, Copy)]
pub struct SourceReading {
    /// What is known about it.
    pub condition: SourceCondition,
    /// When it was last read; before that, when this process began to try.
    pub last_read: Instant,
}

#[derive(Debug)]
struct KnownCondition {
    condition: SourceCondition,
    /// Why the last answer was refused, if it was.
    refusal: Option<String>,
    /// When it was last read; before that, when this process began to try.
    last_read: Instant,
}

/// Whether a source can be read.
#[derive(Debug)]
pub struct Reachability {
    services: Services,
    source: String,
    url: String,
    known: Mutex<KnownCondition>,
}

impl Reachability {
    pub(super) fn new(client: &SourceClient) -> Self {
        let known = KnownCondition {
            condition: SourceCondition::Unknown,
            refusal: None,
            last_read: Instant::now(),
        };
        Self {
            services: client.services(),
            source: client.services().to_string(),
            url: client.url().to_owned(),
            known: Mutex::new(known),
        }
    }

    /// The services whose events are read there.
    pub const fn services(&self) -> Services {
        self.services
    }

    /// How the last read ended.
    pub fn last_reading(&self) -> SourceReading {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        SourceReading { condition: known.condition, last_read: known.last_read }
    }

    /// Notes how a read ended.
    pub(super) fn note(&self, failed: Option<&FeedError>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, silent_for) = (known.condition, known.last_read.elapsed());
        known.condition = SourceCondition::after(failed);
        known.refusal = match failed {
            Some(FeedError::Refused(why)) => Some(why.clone()),
            Some(FeedError::Unreachable(_) | FeedError::Store(_)) | None => None,
        };
        let is_changed = known.condition != before;
        if failed.is_none() {
            known.last_read = Instant::now();
        }
        drop(known);
        self.report(failed.is_none(), silent_for);
        match failed {
            _ if !is_changed => {}
            Some(failed) => self.log_failure(failed),
            None => self.log_success(before, silent_for),
        }
    }

    /// Why the last answer was refused, if it was.
    pub(super) fn refusal(&self) -> Option<String> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).refusal.clone()
    }

    fn report(&self, is_readable: bool, silent_for: Duration) {
        let (readable, lag) =
            if is_readable { (1.0, 0.0) } else { (0.0, silent_for.as_secs_f64()) };
        let source = || self.source.clone();
        metrics::gauge!("gdmarket_source_readable", "source" => source()).set(readable);
        metrics::gauge!("gdmarket_source_lag_seconds", "source" => source()).set(lag);
    }

    fn log_failure(&self, failed: &FeedError) {
        let (source, url) = (&self.source, &self.url);
        match failed {
            FeedError::Refused(problem) => {
                tracing::error!(source, url, problem, "a source of events is refused");
            }
            FeedError::Unreachable(_) | FeedError::Store(_) => {
                tracing::warn!(source, url, problem = %failed, "a source of events is unreachable");
            }
        }
    }

    fn log_success(&self, before: SourceCondition, silent_for: Duration) {
        let (source, url, seconds) = (&self.source, &self.url, silent_for.as_secs());
        let again = if before == SourceCondition::Unknown { "" } else { " again" };
        tracing::info!(source, url, seconds, "a source of events is read{again}");
    }
}

impl SourceCondition {
    const fn after(failed: Option<&FeedError>) -> Self {
        match failed {
            None => Self::Readable,
            Some(FeedError::Refused(_)) => Self::Refused,
            Some(FeedError::Unreachable(_) | FeedError::Store(_)) => Self::Unreachable,
        }
    }
}
