//! Rebuilding views beside what is served: to be compared with it, to take its place, or to see how
//! things were. The views' own folds do it, so what comes out is what the log says.
//!
//! A build never touches what is served until it takes its place, in one transaction. Whatever cuts it
//! short leaves the served view as it was and a table that the next build clears away.

mod as_of;
mod build;
mod compare;
mod fold;
mod promote;

pub use compare::Difference;

use crate::alarms::Alarms;
use crate::feed::{Feed, LocalFeed};
use crate::view::View;
use crate::views::{self, KnownView};
use async_trait::async_trait;
use build::Build;
use chrono::{DateTime, Utc};
use compare::served_now;
use gdmarket_store::{Generations, RecordedEvent, Store, StoreError};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Told how many events are done, and of how many.
pub type Meter<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// How often a replica looks whether another has built the view it waits for.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

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
    Busy(&'static str),
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
    Moved(&'static str),
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
    /// The view.
    pub view: &'static str,
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

fn known(name: &str) -> Result<Box<dyn KnownView>, ReplayError> {
    let found = views::all().into_iter().find(|view| kebab(view.name()) == kebab(name));
    found.ok_or_else(|| ReplayError::UnknownView(name.to_owned(), Replay::views().join(", ")))
}

/// Builds and compares; see [`Replay::rebuild`].
pub(crate) async fn rebuild<V: View>(
    store: &Store,
    judge: &mut dyn Judge,
    meter: Meter<'_>,
) -> Result<Replayed, ReplayError> {
    let mut build = Build::<V>::begin(store).await?;
    let served = served_now::<V>(store).await?;
    let until = match served {
        Some(position) => position,
        None => store.log().head().await?,
    };
    build.fold_to(until, meter).await?;
    let mut replayed = Replayed {
        view: V::NAME,
        events: 0,
        counted: 0,
        compared_at: None,
        rows: 0,
        differing: 0,
        promoted: None,
    };
    if served.is_some() {
        let compared = build.compare(&mut |row| judge.differs(row), meter).await?;
        replayed.compared_at = Some(compared.position);
        (replayed.rows, replayed.differing) = (compared.rows, compared.differing);
    }
    (replayed.events, replayed.counted) = (build.events, build.counted);
    if judge.serve(&replayed).await {
        replayed.promoted = Some(build.generation);
        (replayed.events, replayed.counted) = serve(store, build, meter).await?;
    } else {
        build.discard().await?;
    }
    Ok(replayed)
}

/// Brings the build close to what is served, and serves it; how many events it holds.
async fn serve<V: View>(
    store: &Store,
    mut build: Build<V>,
    meter: Meter<'_>,
) -> Result<(u64, u64), ReplayError> {
    build.index().await?;
    loop {
        let target = served_now::<V>(store).await?.unwrap_or(build.reached);
        if target - build.reached <= promote::LAST_STEP {
            break;
        }
        build.fold_to(target, meter).await?;
    }
    let events = (build.events, build.counted);
    build.promote().await?;
    Ok(events)
}

/// See [`Replay::as_of`].
pub(crate) async fn as_of<V: View>(
    store: &Store,
    position: i64,
    tell: &mut (dyn FnMut(Value) + Send),
    meter: Meter<'_>,
) -> Result<u64, ReplayError> {
    let mut build = Build::<V>::begin(store).await?;
    let told = if V::SHOWS_ALARMS {
        let mut alarms = Build::<Alarms>::begin(store).await?;
        alarms.fold_to(position, &|_, _| {}).await?;
        let table = std::sync::Arc::clone(&alarms.table);
        let told = build.tell_as_of(position, Some(&table), (tell, meter)).await;
        alarms.discard().await?;
        told
    } else {
        build.tell_as_of(position, None, (tell, meter)).await
    };
    let events = build.events;
    build.discard().await?;
    told.map(|()| events)
}

/// Has the view's version of this program built, if it never was: by this process, or by whichever is
/// at it already. What other versions serve is left alone.
pub(crate) async fn ensure_built<V: View>(store: &Store) -> Result<(), ReplayError> {
    let generations = Generations::new(store.views().clone());
    let name = V::subscription();
    loop {
        if generations.served(&name).await?.is_some() {
            return Ok(());
        }
        if let Some(mut build) = Build::<V>::try_begin(store).await? {
            if generations.served(&name).await?.is_some() {
                return build.discard().await;
            }
            let head = LocalFeed(store.clone()).head().await?;
            let began = Instant::now();
            build.fold_to(head, &|_, _| {}).await?;
            build.index().await?;
            let (events, took) = (build.events, began.elapsed());
            build.promote().await?;
            tracing::info!(view = V::NAME, version = V::VERSION, events, ?took, "a view is built");
            return Ok(());
        }
        sleep(LOOK_AGAIN).await;
    }
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
