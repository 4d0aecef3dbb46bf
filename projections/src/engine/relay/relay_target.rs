//! The place that the relay copies a log to.

use crate::engine::feed::{Delivery, FeedError};
use async_trait::async_trait;
use gdmarket_store::{Identity, StoreError};

/// A place that the events of a log are copied to, in order. One process writes to it at a time; a second one must be
/// refused, also where it isn't aware of the first.
#[async_trait]
pub trait RelayTarget: Send + Sync + 'static {
    /// Finds out what it has of the log `source`, whose newest event is at `head`: the position of the newest event,
    /// `None` if it is empty. Creates it where it is missing. Every publication follows what this has found.
    async fn resume(&self, source: Identity, head: i64) -> Result<Option<i64>, RelayError>;

    /// Publishes events that follow those that it has. After an error any part of them may have been published.
    async fn publish(&self, source: Identity, events: &[Delivery]) -> Result<(), RelayError>;
}

/// Why nothing is published, or not known to be.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// It isn't known what the target has: it is asked again.
    #[error("{0}")]
    Unknown(String),
    /// The target holds what it may not be mixed with: an operator must act.
    #[error("{0}")]
    Refused(String),
}

impl From<FeedError> for RelayError {
    fn from(error: FeedError) -> Self {
        Self::Unknown(error.to_string())
    }
}

impl From<StoreError> for RelayError {
    fn from(error: StoreError) -> Self {
        Self::Unknown(error.to_string())
    }
}
