//! What a stale row shows of itself.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// A row that couldn't follow its stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stale {
    /// When the event that couldn't be folded was recorded.
    pub since: DateTime<Utc>,
    /// Why it couldn't.
    pub reason: String,
}

impl From<(i64, String)> for Stale {
    /// From the columns of a row: since when, in microseconds, and why.
    fn from((since, reason): (i64, String)) -> Self {
        Self { since: DateTime::from_timestamp_micros(since).unwrap_or_default(), reason }
    }
}
