//! The ways a build is used: to be compared and served, to be told and thrown away, or because there
//! is none yet.

use super::build::Build;
use super::compare::served_now;
use super::{Judge, Meter, ReplayError, Replayed, name_of};
use crate::alarms::Alarms;
use crate::view::View;
use crate::view_table::ViewTable;
use gdmarket_store::{Generations, Store};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a server that builds a view before it serves says how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(5);
/// How often a replica looks whether another has built the view it waits for.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Builds and compares; see [`super::Replay::rebuild`].
pub(crate) async fn rebuild<V: View>(
    store: &Store,
    judge: &mut dyn Judge,
    meter: Meter<'_>,
) -> Result<Replayed, ReplayError> {
    let build = Build::<V>::begin(store).await?;
    let right = build.lease.right().clone();
    right.hold(build_and_judge(store, build, (judge, meter))).await
}

async fn build_and_judge<V: View>(
    store: &Store,
    mut build: Build<V>,
    (judge, meter): (&mut dyn Judge, Meter<'_>),
) -> Result<Replayed, ReplayError> {
    let served = served_now::<V>(store).await?;
    let goal = if served.is_some() { Goal::Served } else { Goal::Head };
    catch_up(store, &mut build, (goal, meter)).await?;
    let mut replayed = Replayed {
        view: name_of::<V>(),
        events: 0,
        counted: 0,
        compared_at: None,
        rows: 0,
        differing: 0,
        stale: 0,
        damaged: 0,
        unreadable: 0,
        promoted: None,
    };
    if served.is_some() {
        let compared = build.compare(&mut |row| judge.differs(row), meter).await?;
        replayed.compared_at = Some(compared.position);
        (replayed.rows, replayed.differing) = (compared.rows, compared.differing);
        (replayed.stale, replayed.damaged) = (compared.stale, compared.damaged);
    }
    replayed.unreadable = u64::try_from(build.poisoned.len()).unwrap_or(u64::MAX);
    (replayed.events, replayed.counted) = (build.events, build.counted);
    if judge.serve(&replayed).await {
        replayed.promoted = Some(build.generation);
        (replayed.events, replayed.counted) = serve(store, build, (goal, meter)).await?;
    } else {
        build.discard().await?;
    }
    Ok(replayed)
}

/// Where a build goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    /// Where what is served stands.
    Served,
    /// The head of the log: nothing fit is served.
    Head,
}

impl Goal {
    async fn position<V: View>(self, store: &Store) -> Result<i64, ReplayError> {
        let head = store.log().head().await?;
        Ok(match self {
            Self::Served => served_now::<V>(store).await?.unwrap_or(head),
            Self::Head => head,
        })
    }
}

/// Brings the build close to its goal, and serves it; how many events it holds.
async fn serve<V: View>(
    store: &Store,
    mut build: Build<V>,
    (goal, meter): (Goal, Meter<'_>),
) -> Result<(u64, u64), ReplayError> {
    build.index().await?;
    catch_up(store, &mut build, (goal, meter)).await?;
    let (events, counted) = (build.events, build.counted);
    let last = build.promote().await?;
    Ok((events + last, counted + last))
}

/// Brings the build close to its goal, which moves on while commands come in: what is left at the end
/// takes no time to speak of.
pub(super) async fn catch_up<V: View>(
    store: &Store,
    build: &mut Build<V>,
    (goal, meter): (Goal, Meter<'_>),
) -> Result<(), ReplayError> {
    let mut before = i64::MAX;
    loop {
        build.fold_to(goal.position::<V>(store).await?, meter).await?;
        if build.is_close_to(goal.position::<V>(store).await?, &mut before) {
            return Ok(());
        }
    }
}

/// See [`super::Replay::as_of`].
pub(crate) async fn as_of<V: View>(
    store: &Store,
    position: i64,
    tell: &mut (dyn FnMut(Value) + Send),
    meter: Meter<'_>,
) -> Result<u64, ReplayError> {
    let build = Build::<V>::begin(store).await?;
    let right = build.lease.right().clone();
    if !V::SHOWS_ALARMS {
        return right.hold(build_and_tell(build, None, position, (tell, meter))).await;
    }
    let mut alarms = Build::<Alarms>::begin(store).await?;
    let right_to_alarms = alarms.lease.right().clone();
    let both = async {
        alarms.fold_to(position, &|_, _| {}).await?;
        let table = Arc::clone(&alarms.table);
        let told = build_and_tell(build, Some(&table), position, (tell, meter)).await;
        alarms.discard().await?;
        told
    };
    right.hold(right_to_alarms.hold(both)).await
}

async fn build_and_tell<V: View>(
    mut build: Build<V>,
    alarms: Option<&ViewTable<Alarms>>,
    position: i64,
    (tell, meter): (&mut (dyn FnMut(Value) + Send), Meter<'_>),
) -> Result<u64, ReplayError> {
    let told = build.tell_as_of(position, alarms, (tell, meter)).await;
    let events = build.events;
    build.discard().await?;
    told.map(|()| events)
}

/// Has the view's version of this program built, if it never was: by this process, or by whichever is
/// at it already. What other versions serve is left alone.
pub(crate) async fn ensure_built<V: View>(store: &Store) -> Result<(), ReplayError> {
    loop {
        if is_served::<V>(store).await? {
            return Ok(());
        }
        if let Some(build) = Build::<V>::try_begin(store).await? {
            if is_served::<V>(store).await? {
                return build.discard().await;
            }
            let right = build.lease.right().clone();
            match right.hold(build_first(store, build)).await {
                // Another replica has taken over meanwhile, and builds it.
                Err(ReplayError::Busy(_)) => {}
                done => return done,
            }
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Whether the view was built and its table is there: one that was dropped by hand is built again.
async fn is_served<V: View>(store: &Store) -> Result<bool, ReplayError> {
    let generations = Generations::new(store.views().clone());
    let is_built = generations.served(&V::subscription()).await?.is_some();
    Ok(is_built && ViewTable::<V>::served().exists(store.views()).await?)
}

async fn build_first<V: View>(store: &Store, mut build: Build<V>) -> Result<(), ReplayError> {
    let (began, meter) = (Instant::now(), told_now_and_then::<V>());
    let goal: (Goal, Meter<'_>) = (Goal::Head, &meter);
    catch_up(store, &mut build, goal).await?;
    // Others may serve an older version and go on meanwhile.
    let (events, _) = serve(store, build, goal).await?;
    let took = began.elapsed();
    // An empty log is no news.
    if events > 0 {
        tracing::info!(view = V::NAME, version = V::VERSION, events, ?took, "a view is built");
    }
    Ok(())
}

/// Says in the log how far a build is that a server waits for.
fn told_now_and_then<V: View>() -> impl Fn(u64, u64) + Send + Sync {
    let last = Mutex::new(Instant::now());
    move |done, of| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= TOLD_EVERY {
            *last = Instant::now();
            tracing::info!(view = V::NAME, version = V::VERSION, done, of, "a view is being built");
        }
    }
}
