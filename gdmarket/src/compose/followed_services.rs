//! What this process knows of the services that aren't in it: how reading their events ended last.

use chrono::{DateTime, Utc};
use gdmarket_app::{ServiceCondition, ServiceConditions};
use gdmarket_commands::{Clock as _, SystemClock};
use gdmarket_domain::Service;
use gdmarket_transport::{Reachability, SourceCondition, SourceReading};
use std::sync::Arc;
use tokio::time::Instant;

/// The services whose events this process reads.
#[derive(Debug)]
pub(super) struct FollowedServices {
    followed: Vec<Arc<Reachability>>,
    /// One moment on both clocks, so that the time of an instant is always the same.
    started: Instant,
    started_at: DateTime<Utc>,
}

impl FollowedServices {
    pub(super) fn new(followed: Vec<Arc<Reachability>>) -> Self {
        Self { followed, started: Instant::now(), started_at: SystemClock.now() }
    }

    fn time(&self, instant: Instant) -> DateTime<Utc> {
        self.started_at + instant.saturating_duration_since(self.started)
    }
}

impl ServiceConditions for FollowedServices {
    fn condition(&self, service: Service) -> ServiceCondition {
        let followed = self.followed.iter().find(|source| source.services().contains(service));
        let Some(reading) = followed.map(|source| source.last_reading()) else {
            return ServiceCondition::Unknown;
        };
        let SourceReading { condition, last_read } = reading;
        let since = self.time(last_read);
        match condition {
            SourceCondition::Unknown => ServiceCondition::Unknown,
            SourceCondition::Readable => ServiceCondition::Reachable,
            SourceCondition::Unreachable => ServiceCondition::Unreachable { since },
            SourceCondition::Refused => ServiceCondition::Refused { since },
        }
    }
}
