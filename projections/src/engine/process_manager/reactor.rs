//! Runs a process manager: reacts to a batch, concurrently and in order per partition, and moves the
//! checkpoint once every reaction is done or durably queued.
//!
//! A blocked reaction parks only its key: later events of the key queue behind it, and [`super::retries`]
//! tries them again. Every command has an id derived from its event, so redelivery does nothing twice.

use super::deadline_payload::blocked_deadlines;
use super::job::Job;
use super::manager::{Manager, ProcessStep, Reaction};
use super::outcome::Outcome;
use super::plan::{self, Plan};
use super::port::Port;
use super::sender::{self, Sender};
use crate::engine::feed::{Delivery, Feed};
use crate::engine::subscription::{BlockedWork, Halt, Handler, Reached, Run};
use async_trait::async_trait;
use futures::StreamExt;
use gdmarket_store::{
    Changes, Deadline, Deadlines, Parked, ParkedKeys, Store, StoreError, Tx, failpoint,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};

/// Keys and deadlines per query.
pub(super) const AT_ONCE: u32 = 500;

/// The parts that a reactor is made of.
pub(crate) struct ReactorParts<S> {
    pub(crate) manager: Arc<dyn Manager<Step = S>>,
    /// The port that takes the manager's steps.
    pub(crate) port: Arc<dyn Port<S>>,
    pub(crate) store: Store,
    /// The name of the subscription.
    pub(crate) subscription: String,
    /// The names of the manager's subscriptions at other logs.
    pub(crate) siblings: Vec<String>,
    pub(crate) feed: Arc<dyn Feed>,
    /// How many reactions run at once.
    pub(crate) concurrency: usize,
    /// How often to check for retries and deadlines.
    pub(crate) tick: Duration,
    /// Whether it also parks the log rows whose aggregate this program doesn't know. Exactly one manager of a
    /// process does, so that each row is parked once.
    pub(crate) parks_unknown: bool,
}

/// The handler behind a process manager, for the events of one log.
pub(crate) struct Reactor<S> {
    pub(super) store: Store,
    pub(super) subscription: String,
    siblings: Vec<String>,
    pub(super) feed: Arc<dyn Feed>,
    pub(super) sender: Sender<S>,
    pub(super) parked: ParkedKeys,
    pub(super) deadlines: Deadlines,
    pub(super) concurrency: usize,
    pub(super) tick: Duration,
    /// The parked keys, each with the position that it stopped at. The lock is held while a batch is planned,
    /// handled and written, and while a key is unparked, so that no event overtakes a queued one.
    pub(super) parked_at: Mutex<BTreeMap<String, i64>>,
    /// The deadlines whose last try was refused.
    pub(super) blocked: StdMutex<BlockedWork>,
    /// Notified when work was queued that needn't wait for the next tick.
    pub(super) queued: Notify,
}

/// A job with its outcome.
pub(super) struct Done<S> {
    pub(super) job: Job<S>,
    pub(super) outcome: Outcome,
}

impl<S: ProcessStep> Reactor<S> {
    pub(crate) fn new(parts: ReactorParts<S>) -> Self {
        let ReactorParts { manager, port, store, feed, concurrency, tick, .. } = parts;
        Self {
            subscription: parts.subscription,
            siblings: parts.siblings,
            sender: Sender::new(manager, port, Arc::clone(&feed), parts.parks_unknown),
            parked: ParkedKeys::new(store.views().clone()),
            deadlines: Deadlines::new(store.views().clone()),
            store,
            feed,
            concurrency: concurrency.max(1),
            tick,
            parked_at: Mutex::default(),
            blocked: StdMutex::default(),
            queued: Notify::new(),
        }
    }

    /// Reacts to the events of one partition in waves, one after another.
    async fn take_partition(&self, jobs: Vec<Job<S>>) -> Vec<Done<S>> {
        let mut blocked = BTreeSet::new();
        let mut all: Vec<Done<S>> = Vec::with_capacity(jobs.len());
        for wave in plan::waves(jobs) {
            let wave: Vec<Done<S>> = futures::stream::iter(wave)
                .map(|job| self.take(job, &blocked))
                .buffered(self.concurrency)
                .collect()
                .await;
            let stopped = wave.iter().filter(|done| done.outcome.stops());
            blocked.extend(stopped.map(|done| done.job.key.clone()).collect::<Vec<_>>());
            all.extend(wave);
        }
        all
    }

    async fn take(&self, job: Job<S>, blocked: &BTreeSet<String>) -> Done<S> {
        let outcome =
            if blocked.contains(&job.key) { Outcome::Queue } else { self.sender.react(&job).await };
        Done { job, outcome }
    }

    /// Writes the outcome of a job, and collects the changes of deadlines.
    pub(super) async fn write(
        &self,
        run: &Run,
        tx: &mut Tx,
        done: &Done<S>,
        deadlines: &mut Changes,
    ) -> Result<(), Halt> {
        let (key, event) = (&done.job.key, &done.job.event);
        let pause = match &done.outcome {
            Outcome::Done => {
                self.note_deadlines(&done.job, deadlines);
                return Ok(());
            }
            Outcome::Newer => return Err(Halt::Newer(event.event_type.clone())),
            Outcome::Queue => {
                return Ok(ParkedKeys::queue(tx, run.name(), key, event.position).await?);
            }
            Outcome::Later | Outcome::Park(_) => Duration::ZERO,
            Outcome::Retry(_) => sender::retry_after(1),
        };
        let parked = Parked {
            key: key.clone(),
            state: done.outcome.state().to_owned(),
            reason: done.outcome.reason().to_owned(),
            since_position: event.position,
            since_time: event.recorded_at,
            attempts: 1,
        };
        ParkedKeys::park(tx, run.name(), &parked, pause).await?;
        Ok(ParkedKeys::queue(tx, run.name(), key, event.position).await?)
    }

    /// Sets and clears deadlines. A deadline of the same key that an event of another log set is cleared: the manager has
    /// one per key, whichever log has the event.
    pub(super) async fn change_deadlines(
        &self,
        tx: &mut Tx,
        changes: &Changes,
    ) -> Result<(), Halt> {
        if !self.siblings.is_empty() {
            let cleared: Changes = changes.keys().map(|key| (key.clone(), None)).collect();
            for sibling in &self.siblings {
                Deadlines::change(tx, sibling, &cleared).await?;
            }
        }
        Ok(Deadlines::change(tx, &self.subscription, changes).await?)
    }

    pub(super) fn blocked_now(&self) -> BlockedWork {
        *self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports the parked keys and the blocked deadlines.
    pub(super) fn report(&self, run: &Run, parked_at: &BTreeMap<String, i64>) {
        let blocked = self.blocked_now();
        let first = parked_at.values().copied().chain(blocked.first).min();
        run.report_parked(parked_at.len() + blocked.count, first);
    }

    fn note_deadlines(&self, job: &Job<S>, deadlines: &mut Changes) {
        for reaction in &job.steps {
            match reaction {
                Reaction::SetDeadline { key, due_at, data } => {
                    let payload = self.sender.payload(job, data);
                    let due_at = due_at.timestamp_micros();
                    let deadline = Deadline { key: key.clone(), due_at, payload };
                    deadlines.insert(key.clone(), Some(deadline));
                }
                Reaction::ClearDeadline { key } => {
                    deadlines.insert(key.clone(), None);
                }
                Reaction::Do(_) => {}
            }
        }
    }
}

#[async_trait]
impl<S: ProcessStep> Handler for Reactor<S> {
    async fn prepare(&self) -> Result<(), Halt> {
        Ok(())
    }

    async fn begin(&self, run: &Run) -> Result<(), Halt> {
        let parked = self.parked.all(run.name()).await?;
        let mut parked_at = self.parked_at.lock().await;
        *parked_at = parked.into_iter().map(|parked| (parked.key, parked.since_position)).collect();
        self.refresh_blocked().await?;
        self.report(run, &parked_at);
        Ok(())
    }

    fn wants(&self, aggregate: &str) -> bool {
        self.sender.wants(aggregate)
    }

    async fn batch(&self, run: &Run, stored: i64, batch: &[Delivery]) -> Result<Reached, Halt> {
        let mut parked_at = self.parked_at.lock().await;
        let plan = Plan::of(&self.sender, batch);
        let reached = match (plan.reached, plan.newer) {
            (Some(reached), _) => reached,
            (None, Some(newer)) => return Err(Halt::Newer(newer)),
            (None, None) => stored,
        };
        if plan.partitions.is_empty() {
            return Ok(Reached::SkippedTo(reached));
        }
        let (waiting, ready) = plan::split(plan.partitions, &parked_at.keys().cloned().collect());
        let partitions: Vec<Vec<Done<S>>> = futures::stream::iter(ready)
            .map(|jobs| self.take_partition(jobs))
            .buffer_unordered(self.concurrency)
            .collect()
            .await;
        failpoint!("manager.reacted", run.name());
        let mut tx = self.store.views().begin().await?;
        let waiting = waiting.into_iter().map(|job| Done { job, outcome: Outcome::Queue });
        let all: Vec<Done<S>> = partitions.into_iter().flatten().chain(waiting).collect();
        // This comes first, since it keeps the background work out until all is written.
        run.advance(&mut tx, stored, reached).await?;
        let mut deadlines = Changes::new();
        for done in &all {
            self.write(run, &mut tx, done, &mut deadlines).await?;
        }
        self.change_deadlines(&mut tx, &deadlines).await?;
        tx.commit().await?;
        failpoint!("manager.checkpoint", run.name());
        let stopped = all.into_iter().filter(|done| done.outcome.stops());
        let before = parked_at.len();
        for done in stopped {
            parked_at.entry(done.job.key).or_insert(done.job.event.position);
        }
        if parked_at.len() > before {
            self.queued.notify_one();
        }
        self.report(run, &parked_at);
        Ok(Reached::CommittedTo(reached))
    }

    async fn background(&self, run: &Run) -> Halt {
        self.work_in_background(run).await
    }

    async fn blocked(&self) -> Result<BlockedWork, StoreError> {
        blocked_deadlines(&self.deadlines, &self.subscription).await
    }
}
