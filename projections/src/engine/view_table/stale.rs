//! The staleness of a row, as it is shown.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Since when and why a row lags behind its stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stale {
    /// When the event that couldn't be folded was recorded.
    pub since: DateTime<Utc>,
    /// Why it couldn't be folded.
    pub reason: String,
}

impl Stale {
    pub(crate) fn new(since_micros: i64, reason: String) -> Self {
        Self { since: DateTime::from_timestamp_micros(since_micros).unwrap_or_default(), reason }
    }
}
