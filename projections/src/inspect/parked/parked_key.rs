//! What is shown of parked keys.

use crate::inspect::event_view::EventView;
use chrono::{DateTime, Utc};
use gdmarket_store::{Dropped, Parked};
use serde::Serialize;

/// A parked key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedKey {
    /// Whose key.
    pub subscription: String,
    /// Whether it is a view's, or a process manager's.
    pub is_view: bool,
    /// Whether it is a deadline of a process manager: nothing waits behind it.
    pub is_deadline: bool,
    /// What is blocked: a stream, or a process.
    pub key: String,
    /// `retrying` by itself, or `parked` until it is asked for.
    pub state: String,
    /// Why.
    pub reason: String,
    /// The event it stopped at first.
    pub since_position: i64,
    /// When that was recorded.
    pub since: DateTime<Utc>,
    /// How often it was tried.
    pub attempts: i64,
    /// How many events wait, the one it stopped at included.
    pub queued: u64,
    /// Why an operator gave it up, if one did.
    pub dropped: Option<String>,
}

impl ParkedKey {
    /// As the table of parked keys has it.
    pub(super) fn parked(&self) -> Parked {
        Parked {
            key: self.key.clone(),
            state: self.state.clone(),
            reason: self.reason.clone(),
            since_position: self.since_position,
            since_time: self.since.timestamp_micros(),
            attempts: self.attempts,
        }
    }
}

/// An event that was dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedEvent {
    /// Whose key.
    pub subscription: String,
    /// What was blocked: a stream, or a process.
    pub key: String,
    /// The event it stopped at.
    pub position: i64,
    /// Why it had stopped.
    pub parked_for: String,
    /// Why it was dropped.
    pub reason: String,
    /// When.
    #[serde(rename = "givenUpAt")]
    pub dropped_at: DateTime<Utc>,
}

impl From<Dropped> for DroppedEvent {
    fn from(dropped: Dropped) -> Self {
        let Dropped { subscription, key, position, parked_for, reason, dropped_at } = dropped;
        let dropped_at = DateTime::from_timestamp_micros(dropped_at).unwrap_or_default();
        Self { subscription, key, position, parked_for, reason, dropped_at }
    }
}

/// A parked key with what waits behind it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedKeyDetail {
    /// The key.
    #[serde(flatten)]
    pub key: ParkedKey,
    /// What waits, first come first; not all of a long queue.
    pub events: Vec<EventView>,
}

/// What became of a key that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryOutcome {
    /// It is unparked.
    Unparked,
    /// It was tried and stopped again.
    ParkedAgain(ParkedKey),
    /// No running loop has tried it yet.
    Pending,
}
