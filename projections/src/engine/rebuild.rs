//! Rebuilding views from the log alongside the served ones: to compare both, to replace the served view, or
//! to show a view as of a position. A build uses the view's own fold.
//!
//! A build never touches the served view until it replaces it, in one transaction. An interrupted build
//! leaves the served view as it was, and a table that the next build removes.

mod as_of;
mod build;
mod build_source;
mod compare;
mod fold;
mod goal;
mod lease;
mod promote;
mod run;
#[cfg(test)]
mod tests;

pub(crate) use as_of::{AsOf, BeginJoined, as_of, begin_joined};
pub use compare::Difference;
pub(crate) use compare::Differences;
pub(crate) use run::{ensure_built, ensure_served, rebuild};

use crate::engine::feed::FeedError;
use crate::engine::view::View;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gdmarket_store::{RecordedEvent, StoreError};
use serde::Serialize;
use std::collections::BTreeMap;

/// A callback with the number of events that are folded, and the number of all.
pub type RebuildProgress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// Why a replay failed; the served view is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The database didn't answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log has events that only a newer program can read.
    #[error("the log has events that only a newer program can read: {0}")]
    Newer(String),
    /// Another process builds the view.
    #[error("{0} is being built by another process")]
    Busy(String),
    /// The log returned another number of events than it counted.
    #[error("the log gave {read} of {expected} events")]
    Short {
        /// Events read.
        read: u64,
        /// Events that the log counted.
        expected: u64,
    },
    /// The served view was replaced meanwhile.
    #[error("the served view {0} was replaced meanwhile: try again")]
    Moved(String),
    /// The replay panicked, or a row can't be read.
    #[error("the replay broke down: {0}")]
    Broken(String),
    /// The log of another service can't be read.
    #[error("{0}")]
    Unreachable(String),
    /// The view is also fed by a log that isn't read here.
    #[error("{0} is also fed by the log of {1}, which isn't read here")]
    MissingSource(String, String),
    /// No view has this name.
    #[error("no view is called {0:?}; there are: {1}")]
    UnknownView(String, String),
}

impl From<FeedError> for ReplayError {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Store(error) => Self::Store(error),
            FeedError::Unreachable(why) => {
                Self::Unreachable(format!("the log of another service can't be read: {why}"))
            }
            FeedError::Refused(why) => Self::Broken(why),
        }
    }
}

/// An event that explains a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Its position in the log.
    pub position: i64,
    /// Its number in the stream.
    pub sequence: i64,
    /// The type of the event.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
}

impl Explanation {
    fn of(event: &RecordedEvent) -> Self {
        Self {
            position: event.position,
            sequence: event.sequence,
            event_type: event.event_type.clone(),
            recorded_at: DateTime::from_timestamp_micros(event.recorded_at).unwrap_or_default(),
        }
    }
}

/// The result of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// The view's name as people type it.
    pub view: String,
    /// The number of folded events.
    pub events: u64,
    /// The log's own count of them; the replay fails if it differs.
    pub counted: u64,
    /// The position at which the served and the rebuilt view were compared; `null` without a served view.
    pub compared_at: Option<i64>,
    /// The same position, if it is one of the own log.
    #[serde(skip)]
    pub compared_at_own: Option<i64>,
    /// The positions at which they were compared in the logs of other services, if the view reads any.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub compared_at_others: BTreeMap<&'static str, i64>,
    /// The number of compared rows.
    pub rows: u64,
    /// The number of rows that differ.
    pub differing: u64,
    /// The number of rows of the build that are stale, since their streams can't be read to the end.
    pub stale: u64,
    /// The number of differing rows that are stale in the build: the log can't be read where they differ.
    pub damaged: u64,
    /// The number of streams that can't be read, and of log rows that belong to no stream.
    pub unreadable: u64,
    /// The generation that is served now, if the build replaced the served view.
    pub promoted: Option<i64>,
}

/// Receives the differences of a rebuild, and decides whether the build is served.
#[async_trait]
pub trait RebuildObserver: Send {
    /// Called for every row that differs.
    fn differs(&mut self, difference: Difference);
    /// Whether to serve the build.
    async fn serve(&mut self, so_far: &Replayed) -> bool;
}

/// A view's name as people type it: with dashes.
pub(crate) fn kebab(name: &str) -> String {
    name.replace('_', "-")
}

/// This view's name as people type it.
fn name_of<V: View>() -> String {
    kebab(V::NAME)
}
