//! Parked keys as they are shown.

use crate::inspect::event_view::EventView;
use chrono::{DateTime, Utc};
use gdmarket_store::{Dropped, Parked};
use serde::Serialize;

/// A parked key or a blocked deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedKey {
    /// The subscription of the key.
    pub subscription: String,
    /// Whether it belongs to a view, and not to a process manager.
    pub is_view: bool,
    /// Whether it is a deadline of a process manager: nothing queues behind it.
    pub is_deadline: bool,
    /// The blocked stream or process.
    pub key: String,
    /// `retrying` by itself, or `parked` until a retry is requested.
    pub state: String,
    /// Why it is parked.
    pub reason: String,
    /// The position of the event that it stopped at.
    pub since_position: i64,
    /// When that event was recorded.
    pub since: DateTime<Utc>,
    /// The number of tries.
    pub attempts: i64,
    /// The number of queued events, including the one that it stopped at.
    pub queued: u64,
    /// Why an operator dropped it, if one did.
    pub dropped: Option<String>,
}

impl ParkedKey {
    /// The row of the table of parked keys.
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
    /// The subscription of the key.
    pub subscription: String,
    /// The stream or process that was blocked.
    pub key: String,
    /// The position of the dropped event.
    pub position: i64,
    /// Why the key was parked.
    pub parked_for: String,
    /// Why it was dropped.
    pub reason: String,
    /// When it was dropped.
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

/// A parked key with its queued events.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedKeyDetail {
    /// The key.
    #[serde(flatten)]
    pub key: ParkedKey,
    /// The first queued events; not all of a long queue.
    pub events: Vec<EventView>,
}

/// The outcome of a requested retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryOutcome {
    /// It is unparked.
    Unparked,
    /// It was tried and is parked again.
    ParkedAgain(ParkedKey),
    /// No running loop has tried it yet.
    Pending,
}
