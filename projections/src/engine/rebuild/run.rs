//! The two ways to serve a build: after comparing it with the served view, or because the view was never
//! built.

use super::build::Build;
use super::build_source::{BuildSource, served_now};
use super::compare::Compared;
use super::goal::{Goal, require_sources};
use super::{RebuildObserver, RebuildProgress, ReplayError, Replayed, name_of};
use crate::engine::feed::Feeds;
use crate::engine::subscription::Halt;
use crate::engine::view::View;
use crate::engine::view_table::ViewTable;
use futures::future::BoxFuture;
use gdmarket_store::{Generations, Store};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a server that builds a view at its start logs the progress.
const PROGRESS_LOG_INTERVAL: Duration = Duration::from_secs(5);
/// How often a replica checks whether another one has built the view.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Builds the view, compares it with the served one, and serves the build if the observer decides so.
pub(crate) async fn rebuild<V: View>(
    store: &Store,
    feeds: &Feeds,
    observer: &mut dyn RebuildObserver,
    progress: RebuildProgress<'_>,
) -> Result<Replayed, ReplayError> {
    require_sources::<V>(store, feeds).await?;
    let build = Build::<V>::begin(store, feeds).await?;
    let right = build.lease.right().clone();
    right.hold(build_and_observe(feeds, build, observer, progress)).await
}

async fn build_and_observe<V: View>(
    feeds: &Feeds,
    mut build: Build<V>,
    observer: &mut dyn RebuildObserver,
    progress: RebuildProgress<'_>,
) -> Result<Replayed, ReplayError> {
    let served = served_now::<V>(&build.store, feeds).await?;
    let goal = if served.is_some() { Goal::Served } else { Goal::Head };
    catch_up(feeds, &mut build, goal, progress).await?;
    let compared = match served {
        Some(_) => Some(build.compare(&mut |row| observer.differs(row), progress).await?),
        None => None,
    };
    let so_far = replayed(&build, compared);
    if !observer.serve(&so_far).await {
        build.discard().await?;
        return Ok(so_far);
    }
    let promoted = Some(build.generation);
    let (events, counted) = serve(feeds, build, goal, progress).await?;
    Ok(Replayed { events, counted, promoted, ..so_far })
}

/// The result of a build that isn't served yet; `compared` is `None` without a served view.
fn replayed<V: View>(build: &Build<V>, compared: Option<Compared>) -> Replayed {
    let compared_at = compared.as_ref().and_then(|compared| compared.positions.first()).copied();
    let Compared { positions, rows, differing, stale, damaged } = compared.unwrap_or_default();
    let unreadable: usize = build.sources.iter().map(|source| source.poisoned.len()).sum();
    let is_own_first = build.sources.first().is_some_and(BuildSource::is_own);
    let names = build.sources.iter().map(|source| source.of.name);
    let others = names.zip(positions).filter_map(|(name, position)| Some((name?, position)));
    Replayed {
        view: name_of::<V>(),
        events: build.events,
        counted: build.counted,
        compared_at,
        compared_at_own: compared_at.filter(|_| is_own_first),
        compared_at_others: others.collect(),
        rows,
        differing,
        stale,
        damaged,
        unreadable: u64::try_from(unreadable).unwrap_or(u64::MAX),
        promoted: None,
    }
}

/// Brings the build close to its goal, and serves it; returns the numbers of events folded and counted.
async fn serve<V: View>(
    feeds: &Feeds,
    mut build: Build<V>,
    goal: Goal,
    progress: RebuildProgress<'_>,
) -> Result<(u64, u64), ReplayError> {
    build.index().await?;
    catch_up(feeds, &mut build, goal, progress).await?;
    let (events, counted) = (build.events, build.counted);
    let last = build.promote().await?;
    Ok((events + last, counted + last))
}

/// Brings the build close to its goal, which moves while commands come in, so that the last transaction is
/// short.
pub(super) async fn catch_up<V: View>(
    feeds: &Feeds,
    build: &mut Build<V>,
    goal: Goal,
    progress: RebuildProgress<'_>,
) -> Result<(), ReplayError> {
    let mut before = i64::MAX;
    loop {
        let positions = goal.positions::<V>(&build.store, feeds).await?;
        build.fold_to(&positions, progress).await?;
        let positions = goal.positions::<V>(&build.store, feeds).await?;
        if build.is_close_to(&positions, &mut before) {
            return Ok(());
        }
    }
}

/// As [`ensure_built`], for a loop that needs the view.
pub(crate) fn ensure_served<V: View>(
    store: Store,
    feeds: Feeds,
) -> BoxFuture<'static, Result<(), Halt>> {
    Box::pin(async move {
        ensure_built::<V>(&store, &feeds).await.map_err(|error| match error {
            ReplayError::Store(error) => error.into(),
            ReplayError::Newer(what) => Halt::Newer(what),
            waits @ ReplayError::Unreachable(_) => Halt::Unreachable(waits.to_string()),
            other @ (ReplayError::Busy(_)
            | ReplayError::Short { .. }
            | ReplayError::Moved(_)
            | ReplayError::Broken(_)
            | ReplayError::MissingSource(..)
            | ReplayError::UnknownView(..)) => Halt::Refused(other.to_string()),
        })
    })
}

/// Builds this program's version of the view unless it was built before, or waits for the process that
/// builds it. The tables of other versions stay.
pub(crate) async fn ensure_built<V: View>(store: &Store, feeds: &Feeds) -> Result<(), ReplayError> {
    loop {
        if is_served::<V>(store).await? {
            return Ok(());
        }
        if let Some(build) = Build::<V>::try_begin(store, feeds).await? {
            if is_served::<V>(store).await? {
                return build.discard().await;
            }
            let right = build.lease.right().clone();
            match right.hold(build_first(feeds, build)).await {
                // Another replica has taken over meanwhile, and builds it.
                Err(ReplayError::Busy(_)) => {}
                done => return done,
            }
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Whether the view was built and its table exists: a table that was dropped by hand is built again.
async fn is_served<V: View>(store: &Store) -> Result<bool, ReplayError> {
    let generations = Generations::new(store.views().clone());
    let is_built = generations.served(&V::subscription()).await?.is_some();
    Ok(is_built && ViewTable::<V>::served().rows().exists(store.views()).await?)
}

async fn build_first<V: View>(feeds: &Feeds, mut build: Build<V>) -> Result<(), ReplayError> {
    let (began, progress) = (Instant::now(), log_progress::<V>());
    catch_up(feeds, &mut build, Goal::Head, &progress).await?;
    // Other processes may serve an older version meanwhile.
    let (events, _) = serve(feeds, build, Goal::Head, &progress).await?;
    let took = began.elapsed();
    // An empty log is not worth a line.
    if events > 0 {
        tracing::info!(view = V::NAME, version = V::VERSION, events, ?took, "a view is built");
    }
    Ok(())
}

/// Logs the progress of a build that a server waits for.
fn log_progress<V: View>() -> impl Fn(u64, u64) + Send + Sync {
    let last = Mutex::new(Instant::now());
    move |done, of| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= PROGRESS_LOG_INTERVAL {
            *last = Instant::now();
            tracing::info!(view = V::NAME, version = V::VERSION, done, of, "a view is being built");
        }
    }
}
