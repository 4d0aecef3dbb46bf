//! Rebuilding views from the log, in addition to what is served: to be compared with it, to take its
//! place, or to show a view as of a position. The views' own folds do it, so that the result is what the
//! log says.
//!
//! A build never touches what is served until it takes its place, in one transaction. A build that is cut
//! short leaves the served view as it was, and a table that the next build removes.

mod as_of;
mod build;
mod compare;
mod fold;
mod lease;
mod promote;
mod run;
#[cfg(test)]
mod tests;

pub(crate) use as_of::{AsOf, BeginJoined, as_of, begin_joined};
pub use compare::Difference;
pub(crate) use compare::Differences;
pub(crate) use run::{ensure_built, ensure_served, rebuild};

use crate::engine::view::View;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gdmarket_store::{RecordedEvent, StoreError};
use serde::Serialize;

/// Is called with how many events are done, and of how many.
pub type RebuildProgress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// Why a replay didn't come to its end; what is served is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The database didn't answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log holds what only a newer program reads.
    #[error("the log holds what only a newer program reads: {0}")]
    Newer(String),
    /// Another process builds the view.
    #[error("{0} is being built by somebody else")]
    Busy(String),
    /// The log gave other events than it counted.
    #[error("the log gave {read} of {expected} events")]
    Short {
        /// Events read.
        read: u64,
        /// Events that the log counted.
        expected: u64,
    },
    /// What is served was replaced meanwhile.
    #[error("what is served of {0} was replaced meanwhile: try again")]
    Moved(String),
    /// The program broke down.
    #[error("the replay broke down: {0}")]
    Broken(String),
    /// No view has this name.
    #[error("no view is called {0:?}; there are: {1}")]
    UnknownView(String, String),
}

/// An event that explains a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Where it is in the log.
    pub position: i64,
    /// Its place in the stream.
    pub sequence: i64,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When.
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

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// The view, as people type it.
    pub view: String,
    /// How many events were folded.
    pub events: u64,
    /// How many there are by the log's own count: the same, or the replay failed.
    pub counted: u64,
    /// Where served and rebuilt were compared; `null` if nothing fit to be compared is served.
    pub compared_at: Option<i64>,
    /// How many rows were compared.
    pub rows: u64,
    /// How many of them differ.
    pub differing: u64,
    /// How many rows of the build are stale, since their streams can't be read further.
    pub stale: u64,
    /// How many of the differing rows are stale in the build: the log can't be read where they differ.
    pub damaged: u64,
    /// How many streams, and rows of the log that are of no stream, can't be read.
    pub unreadable: u64,
    /// Which generation is served now, if the build took its place.
    pub promoted: Option<i64>,
}

/// What to do with a build after it was compared.
#[async_trait]
pub trait RebuildObserver: Send {
    /// A row differs.
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
