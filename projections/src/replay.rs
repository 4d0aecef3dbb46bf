//! Rebuilding views beside what is served: to be compared with it, to take its place, or to see how
//! things were. The views' own folds do it, so what comes out is what the log says.
//!
//! A build never touches what is served until it takes its place, in one transaction. Whatever cuts it
//! short leaves the served view as it was and a table that the next build clears away.

mod as_of;
mod build;
mod compare;
mod fold;
mod lease;
mod promote;
mod run;
#[cfg(test)]
mod tests;

pub use compare::Difference;
pub(crate) use run::{as_of, ensure_built, rebuild};

use crate::view::View;
use crate::views::{self, KnownView};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gdmarket_store::{RecordedEvent, Store, StoreError};
use serde::Serialize;
use serde_json::Value;

/// Told how many events are done, and of how many.
pub type Meter<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// Why a replay didn't come to its end; what is served is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The database didn't answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log holds what only a newer program reads.
    #[error("the log holds what only a newer program reads: {0}")]
    Newer(String),
    /// The view is being built by somebody else.
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
    /// How many rows of the build stand still, since their streams can't be read on.
    pub stale: u64,
    /// How many of the differing rows stand still in the build: the log can't be read where they differ.
    pub damaged: u64,
    /// How many streams, and rows of the log that are of no stream, can't be read.
    pub unreadable: u64,
    /// Which generation is served now, if the build took its place.
    pub promoted: Option<i64>,
}

/// What to do with a build after it was compared.
#[async_trait]
pub trait Judge: Send {
    /// A row differs.
    fn differs(&mut self, difference: Difference);
    /// Whether to serve the build.
    async fn serve(&mut self, so_far: &Replayed) -> bool;
}

/// Replays the views of one store.
#[derive(Debug, Clone)]
pub struct Replay(Store);

impl Replay {
    /// Replays on this store, beside whoever serves from it.
    pub const fn new(store: Store) -> Self {
        Self(store)
    }

    /// The names of all views, as people type them.
    pub fn views() -> Vec<String> {
        views::all().iter().map(|view| kebab(view.name())).collect()
    }

    /// How people are to call what they mean: `item-info` for `item_info` and `item_info_v3`.
    pub fn called(said: &str) -> Option<String> {
        known(said).ok().map(|view| kebab(view.name()))
    }

    /// What this program's version of a view is subscribed as: `item_info_v3`.
    pub fn subscription(said: &str) -> Option<String> {
        known(said).ok().map(|view| view.subscription())
    }

    /// Rebuilds a view, compares it with what is served, and serves it if the judge says so.
    pub async fn rebuild(
        &self,
        view: &str,
        judge: &mut dyn Judge,
        meter: Meter<'_>,
    ) -> Result<Replayed, ReplayError> {
        known(view)?.rebuild(&self.0, judge, meter).await
    }

    /// Tells the rows of a view as of a position, in the order of their numbers; how many events that
    /// took.
    pub async fn as_of(
        &self,
        view: &str,
        position: i64,
        tell: &mut (dyn FnMut(Value) + Send),
        meter: Meter<'_>,
    ) -> Result<u64, ReplayError> {
        known(view)?.as_of(&self.0, position, tell, meter).await
    }
}

fn kebab(name: &str) -> String {
    name.replace('_', "-")
}

/// How people call a view.
fn name_of<V: View>() -> String {
    kebab(V::NAME)
}

fn known(name: &str) -> Result<Box<dyn KnownView>, ReplayError> {
    let is_meant = |said: &str| kebab(said) == kebab(name);
    let found = views::all()
        .into_iter()
        .find(|view| is_meant(view.name()) || is_meant(&view.subscription()));
    found.ok_or_else(|| ReplayError::UnknownView(name.to_owned(), Replay::views().join(", ")))
}

/// The rows of every view that differ from a rebuild, for tests and checks.
pub async fn differences_from_rebuild(store: &Store) -> Result<Vec<Difference>, ReplayError> {
    struct Collect(Vec<Difference>);

    #[async_trait]
    impl Judge for Collect {
        fn differs(&mut self, difference: Difference) {
            self.0.push(difference);
        }

        async fn serve(&mut self, _: &Replayed) -> bool {
            false
        }
    }

    let mut all = Collect(vec![]);
    for view in views::all() {
        view.rebuild(store, &mut all, &|_, _| {}).await?;
    }
    Ok(all.0)
}
