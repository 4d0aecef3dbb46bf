//! The staleness of a row.

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

/// The same as the row's table stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StaleMark {
    /// In microseconds since 1970.
    pub(crate) since: i64,
    pub(crate) reason: String,
}

impl From<StaleMark> for Stale {
    fn from(StaleMark { since, reason }: StaleMark) -> Self {
        Self { since: DateTime::from_timestamp_micros(since).unwrap_or_default(), reason }
    }
}
