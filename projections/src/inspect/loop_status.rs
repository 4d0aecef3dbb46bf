//! The state of every loop, for operators: its position, its runner, its problems; and pausing the loop of a
//! view.

use crate::engine::process_manager::blocked_deadlines;
use crate::engine::view::version_of;
use crate::queries::QueryError;
use chrono::{DateTime, Utc};
use gdmarket_store::{
    Checkpoints, Deadlines, Generation, Generations, Lease, Leases, LoopProblem, LoopProblems,
    ParkedKeys, SourceCheckpoint, Store, StoreError, SubscriptionId,
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
    /// It has never read the log of the service that it reads, and waits until that answers.
    WaitsForSource,
}

/// The state of a loop.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoopStatus {
    /// The subscription: a view with its version, or a process manager.
    pub name: String,
    /// The service whose log it reads, if that isn't the own one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
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
    /// The number of events after that position; `null` at the log of another service, which only that service can
    /// count.
    pub lag_events: Option<u64>,
    /// The age of the first of them.
    pub lag_seconds: Option<f64>,
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
    let mut before = positions(&checkpoints, store).await?;
    before.extend(at_other_services(&checkpoints).await?);
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
    let others_after = at_other_services(&checkpoints).await?;
    for (name, position) in after.iter().chain(&others_after) {
        all.push(snapshot.status(name, before.get(name).copied(), *position).await?);
    }
    for name in checkpoints.others(store.identity()).await? {
        let status = snapshot.status(&name, None, 0).await?;
        all.push(LoopStatus { state: LoopState::OtherLog, ..status });
    }
    // A loop that has never read its source has no checkpoint; it notes why it waits.
    for name in snapshot.problems.keys() {
        let is_of_other_service = SubscriptionId::parse(name).source.is_some();
        if is_of_other_service && all.iter().all(|of| of.name != *name) {
            let status = snapshot.status(name, None, 0).await?;
            let is_idle = status.state == LoopState::Idle;
            let state = if is_idle { LoopState::WaitsForSource } else { status.state };
            all.push(LoopStatus { state, ..status });
        }
    }
    for name in known {
        if all.iter().all(|of| SubscriptionId::parse(&of.name).subscriber != *name) {
            let status = snapshot.status(name, None, 0).await?;
            let version = version_of(name);
            let state = LoopState::NotBuilt;
            all.push(LoopStatus { is_view: true, version, state, ..status });
        }
    }
    all.sort_by(|a, b| (!a.is_view, &a.name).cmp(&(!b.is_view, &b.name)));
    Ok(all)
}

/// Pauses the loops of a view, in whichever process they run, until [`resume_view`].
pub async fn pause_view(store: &Store, subscription: &str) -> Result<(), QueryError> {
    let mut tx = store.views().begin().await?;
    // A promotion takes these locks in the same order.
    let read = Checkpoints::lock(&mut tx, subscription).await?;
    for SourceCheckpoint { name, source, .. } in &read {
        let loop_name = SubscriptionId::new(subscription, name.as_deref()).to_string();
        let epoch = Leases::pause(&mut tx, &loop_name).await?;
        Checkpoints::fence(&mut tx, subscription, source, epoch).await?;
    }
    if read.is_empty() {
        Leases::pause(&mut tx, subscription).await?;
    }
    Ok(tx.commit().await?)
}

/// Resumes a paused loop; returns whether it was paused.
pub async fn resume_view(store: &Store, subscription: &str) -> Result<bool, QueryError> {
    let leases = Leases::new(store.views().clone());
    let mut was_paused = false;
    for lease in leases.all().await?.into_iter().filter(Lease::is_pause) {
        if SubscriptionId::parse(&lease.name).subscriber == subscription {
            was_paused |= leases.resume(&lease.name).await?;
        }
    }
    Ok(was_paused)
}

async fn positions(
    checkpoints: &Checkpoints,
    store: &Store,
) -> Result<BTreeMap<String, i64>, StoreError> {
    Ok(checkpoints.all(store.identity()).await?.into_iter().collect())
}

/// The positions in the logs of other services.
async fn at_other_services(checkpoints: &Checkpoints) -> Result<BTreeMap<String, i64>, StoreError> {
    let all = checkpoints.at_other_services().await?.into_iter();
    Ok(all.map(|(subscription, position)| (subscription.to_string(), position)).collect())
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

/// The events of the own log that a loop has not handled.
#[derive(Clone, Copy)]
struct Lag {
    events: u64,
    /// The age of the first of them, in microseconds.
    waiting: i64,
}

impl LoopSnapshot<'_> {
    async fn lag(&self, position: i64) -> Result<Lag, QueryError> {
        let log = self.store.log();
        let next = if position < self.head { log.read_after(position, 1).await? } else { vec![] };
        let waiting = next.first().map_or(0, |event| (self.now - event.recorded_at).max(0));
        let events = if next.is_empty() { 0 } else { log.count(position, self.head).await? };
        Ok(Lag { events, waiting })
    }

    async fn status(
        &self,
        name: &str,
        before: Option<i64>,
        position: i64,
    ) -> Result<LoopStatus, QueryError> {
        let SubscriptionId { subscriber, source } = SubscriptionId::parse(name);
        let lag = if source.is_none() { Some(self.lag(position).await?) } else { None };
        let lease = self.leases.get(name);
        let state = match lease {
            Some(lease) if lease.is_pause() => LoopState::Paused,
            Some(lease) if !lease.is_over => LoopState::Running,
            Some(_) | None => LoopState::Idle,
        };
        let problem = self.problems.get(name);
        let generation = self.generations.get(&subscriber);
        let is_known = self.known.contains(&subscriber);
        Ok(LoopStatus {
            name: name.to_owned(),
            source,
            is_view: generation.is_some(),
            version: generation.and_then(|_| version_of(name)),
            is_known: is_known || generation.is_none(),
            generation: generation.map(|of| of.number),
            built_at: generation.and_then(|of| DateTime::from_timestamp_micros(of.built_at)),
            state,
            holder: lease.filter(|_| state == LoopState::Running).map(|lease| lease.holder.clone()),
            position,
            lag_events: lag.map(|lag| lag.events),
            lag_seconds: lag.map(|lag| seconds(lag.waiting)),
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
