//! The staleness of a row, as it is shown.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// Since when and why a row lags behind its stream.
// The texts of this type are part of the OpenAPI document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
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
