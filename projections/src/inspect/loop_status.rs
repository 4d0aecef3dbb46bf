//! The state of every loop, for operators: its position, its runner, its problems; and pausing the loop of a
//! view.

use crate::engine::process_manager::blocked_deadlines;
use crate::engine::view::version_of;
use crate::queries::QueryError;
use chrono::{DateTime, Utc};
use gdmarket_store::{
    Checkpoints, Deadlines, Generation, Generations, Lease, Leases, LoopProblem, LoopProblems,
    ParkedKeys, Store, StoreError,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The activity of a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoopState {
    /// A process runs it.
    Running,
    /// An operator has paused it.
    Paused,
    /// No process runs it.
    Idle,
    /// It read another log, or this one before it was restored or imported.
    OtherLog,
    /// This program's version of the view was never built: a server builds it at its start.
    NotBuilt,
}

/// The state of a loop.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoopStatus {
    /// The subscription: a view with its version, or a process manager.
    pub name: String,
    /// Whether it maintains a view.
    pub is_view: bool,
    /// Whether this program reads it; other versions of views belong to other programs.
    pub is_known: bool,
    /// The version of the view; `null` for a process manager.
    pub version: Option<u32>,
    /// The number of builds of the view; `null` for a process manager.
    pub generation: Option<i64>,
    /// When it was built last.
    pub built_at: Option<DateTime<Utc>>,
    /// The activity of the loop.
    pub state: LoopState,
    /// The process that runs it.
    pub holder: Option<String>,
    /// Every event up to here is handled.
    pub position: i64,
    /// The number of events after that position.
    pub lag_events: u64,
    /// The age of the first of them.
    pub lag_seconds: f64,
    /// Positions per second during the measurement.
    pub rate: f64,
    /// The number of parked keys and blocked deadlines.
    pub parked: usize,
    /// Why it is blocked, if it is.
    pub problem: Option<String>,
    /// Since when it is blocked.
    pub blocked_since: Option<DateTime<Utc>>,
}

/// Reads the state of every loop, twice, to measure its rate; `known` are the subscriptions of this
/// program's views.
pub(crate) async fn overview(
    store: &Store,
    known: &[String],
    between: Duration,
) -> Result<Vec<LoopStatus>, QueryError> {
    let db = store.views();
    let checkpoints = Checkpoints::new(db.clone());
    let before = positions(&checkpoints, store).await?;
    let began = Instant::now();
    sleep(between).await;
    let after = positions(&checkpoints, store).await?;
    let snapshot = LoopSnapshot {
        store,
        known,
        head: store.log().head().await?,
        now: store.log().now().await?,
        seconds: began.elapsed().as_secs_f64(),
        generations: by(Generations::new(db.clone()).all().await?, |of| of.view.clone()),
        leases: by(Leases::new(db.clone()).all().await?, |lease| lease.name.clone()),
        parked: ParkedKeys::new(db.clone()),
        problems: by(LoopProblems::new(db.clone()).all().await?, |of| of.subscription.clone()),
    };
    let mut all = vec![];
    for (name, position) in &after {
        all.push(snapshot.status(name, before.get(name).copied(), *position).await?);
    }
    for name in checkpoints.others(store.identity()).await? {
        let status = snapshot.status(&name, None, 0).await?;
        all.push(LoopStatus { state: LoopState::OtherLog, ..status });
    }
    for name in known {
        if all.iter().all(|of| of.name != *name) {
            let status = snapshot.status(name, None, 0).await?;
            let version = version_of(name);
            let state = LoopState::NotBuilt;
            all.push(LoopStatus { is_view: true, version, state, ..status });
        }
    }
    all.sort_by(|a, b| (!a.is_view, &a.name).cmp(&(!b.is_view, &b.name)));
    Ok(all)
}

/// Pauses the loop of a view, in whichever process it runs, until [`resume_view`].
pub async fn pause_view(store: &Store, subscription: &str) -> Result<(), QueryError> {
    let mut tx = store.views().begin().await?;
    // A promotion takes these locks in the same order.
    Checkpoints::lock(&mut tx, subscription).await?;
    let epoch = Leases::pause(&mut tx, subscription).await?;
    Checkpoints::fence(&mut tx, subscription, epoch).await?;
    Ok(tx.commit().await?)
}

/// Resumes a paused loop; returns whether it was paused.
pub async fn resume_view(store: &Store, subscription: &str) -> Result<bool, QueryError> {
    Ok(Leases::new(store.views().clone()).resume(subscription).await?)
}

async fn positions(
    checkpoints: &Checkpoints,
    store: &Store,
) -> Result<BTreeMap<String, i64>, StoreError> {
    Ok(checkpoints.all(store.identity()).await?.into_iter().collect())
}

fn by<T>(rows: Vec<T>, key: impl Fn(&T) -> String) -> BTreeMap<String, T> {
    rows.into_iter().map(|row| (key(&row), row)).collect()
}

/// The state of all loops at one time.
struct LoopSnapshot<'a> {
    store: &'a Store,
    known: &'a [String],
    head: i64,
    now: i64,
    seconds: f64,
    generations: BTreeMap<String, Generation>,
    leases: BTreeMap<String, Lease>,
    parked: ParkedKeys,
    problems: BTreeMap<String, LoopProblem>,
}

impl LoopSnapshot<'_> {
    async fn status(
        &self,
        name: &str,
        before: Option<i64>,
        position: i64,
    ) -> Result<LoopStatus, QueryError> {
        let log = self.store.log();
        let next = if position < self.head { log.read_after(position, 1).await? } else { vec![] };
        let waiting = next.first().map_or(0, |event| (self.now - event.recorded_at).max(0));
        let lag_events = if next.is_empty() { 0 } else { log.count(position, self.head).await? };
        let lease = self.leases.get(name);
        let state = match lease {
            Some(lease) if lease.is_pause() => LoopState::Paused,
            Some(lease) if !lease.is_over => LoopState::Running,
            Some(_) | None => LoopState::Idle,
        };
        let problem = self.problems.get(name);
        let generation = self.generations.get(name);
        let is_known = self.known.iter().any(|known| known == name);
        Ok(LoopStatus {
            name: name.to_owned(),
            is_view: generation.is_some(),
            version: generation.and_then(|_| version_of(name)),
            is_known: is_known || generation.is_none(),
            generation: generation.map(|of| of.number),
            built_at: generation.and_then(|of| DateTime::from_timestamp_micros(of.built_at)),
            state,
            holder: lease.filter(|_| state == LoopState::Running).map(|lease| lease.holder.clone()),
            position,
            lag_events,
            lag_seconds: seconds(waiting),
            rate: before.map_or(0.0, |before| per_second(position - before, self.seconds)),
            parked: usize::try_from(self.parked.count(name).await?).unwrap_or(usize::MAX)
                + blocked_deadlines(&Deadlines::new(self.store.views().clone()), name).await?.count,
            problem: problem.map(|of| of.problem.clone()),
            blocked_since: problem.and_then(|of| DateTime::from_timestamp_micros(of.since)),
        })
    }
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a number for people")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a number for people")]
fn per_second(events: i64, seconds: f64) -> f64 {
    if seconds > 0.0 { events as f64 / seconds } else { 0.0 }
}
