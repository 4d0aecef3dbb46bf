//! Runs a process manager: reacts to a batch, concurrently and in order per turn, and moves the
//! checkpoint once every reaction is done or durably queued.
//!
//! What can't go on parks its key alone: the key's later events queue behind it, and [`beside`] tries
//! them again. Every command has an id derived from its event, so reacting again does nothing twice.

mod beside;
mod deadlines;
mod outcome;
mod plan;
mod send;

pub(crate) use deadlines::{BlockedDeadlines, cause_position};

use crate::command_port::CommandPort;
use crate::feed::{Delivery, Feed};
use crate::options::Options;
use crate::process_manager::{Manager, Reaction};
use crate::subscription::{Halt, Handler, Reached, Run};
use async_trait::async_trait;
use futures::StreamExt;
use gdmarket_store::{Changes, Deadline, Deadlines, Parked, ParkedKeys, Store, Tx, failpoint};
use outcome::Outcome;
use plan::{Job, Plan};
use send::Sender;
pub(crate) use send::reaction_id;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};

/// The handler behind a process manager.
pub(crate) struct Reactor {
    store: Store,
    feed: Arc<dyn Feed>,
    sender: Sender,
    parked: ParkedKeys,
    deadlines: Deadlines,
    concurrency: usize,
    tick: Duration,
    /// The parked keys, with the position that each stopped at. Held while a batch is decided, reacted to and written, and while a
    /// key is let go: so nothing overtakes what queues.
    stuck: Mutex<BTreeMap<String, i64>>,
    /// The deadlines that were refused when they were tried last.
    blocked: StdMutex<BlockedDeadlines>,
    /// Something was queued that needn't wait for the next tick.
    queued: Notify,
}

/// What became of an event.
struct Done {
    job: Job,
    outcome: Outcome,
}

impl Reactor {
    pub(crate) fn new(
        manager: Arc<dyn Manager>,
        store: Store,
        feed: Arc<dyn Feed>,
        port: Arc<dyn CommandPort>,
        options: &Options,
    ) -> Self {
        Self {
            sender: Sender::new(manager, port, feed.source()),
            parked: ParkedKeys::new(store.views().clone()),
            deadlines: Deadlines::new(store.views().clone()),
            store,
            feed,
            concurrency: options.concurrency.max(1),
            tick: options.tick,
            stuck: Mutex::default(),
            blocked: StdMutex::default(),
            queued: Notify::new(),
        }
    }

    /// Reacts to one turn's events, one after another; to neighbours that don't mind, abreast.
    async fn take_turn(&self, jobs: Vec<Job>) -> Vec<Done> {
        let mut stuck = BTreeSet::new();
        let mut all: Vec<Done> = Vec::with_capacity(jobs.len());
        for row in plan::rows(jobs) {
            let row: Vec<Done> = futures::stream::iter(row)
                .map(|job| self.take(job, &stuck))
                .buffered(self.concurrency)
                .collect()
                .await;
            let stopped = row.iter().filter(|done| done.outcome.stops());
            stuck.extend(stopped.map(|done| done.job.key.clone()).collect::<Vec<_>>());
            all.extend(row);
        }
        all
    }

    async fn take(&self, job: Job, stuck: &BTreeSet<String>) -> Done {
        let outcome =
            if stuck.contains(&job.key) { Outcome::Queue } else { self.sender.react(&job).await };
        Done { job, outcome }
    }

    /// Writes down what became of an event, and notes what becomes of deadlines.
    async fn write(
        &self,
        run: &Run,
        tx: &mut Tx,
        (done, deadlines): (&Done, &mut Changes),
    ) -> Result<(), Halt> {
        let (key, event) = (&done.job.key, &done.job.event);
        let pause = match &done.outcome {
            Outcome::Done => {
                self.note_deadlines(&done.job, deadlines);
                return Ok(());
            }
            Outcome::Newer => return Err(Halt::Newer(event.event_type.clone())),
            Outcome::Queue => {
                return Ok(ParkedKeys::queue(tx, &run.name, key, event.position).await?);
            }
            Outcome::Later | Outcome::Park(_) => Duration::ZERO,
            Outcome::Retry(_) => send::retry_after(1),
        };
        let parked = Parked {
            key: key.clone(),
            state: done.outcome.state().to_owned(),
            reason: done.outcome.reason().to_owned(),
            since_position: event.position,
            since_time: event.recorded_at,
            attempts: 1,
        };
        ParkedKeys::park(tx, &run.name, &parked, pause).await?;
        Ok(ParkedKeys::queue(tx, &run.name, key, event.position).await?)
    }

    fn blocked(&self) -> BlockedDeadlines {
        *self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports the parked keys and the blocked deadlines.
    fn report(&self, run: &Run, stuck: &BTreeMap<String, i64>) {
        let blocked = self.blocked();
        let first = stuck.values().copied().chain(blocked.first).min();
        run.report_parked(stuck.len() + blocked.count, first);
    }

    fn note_deadlines(&self, job: &Job, deadlines: &mut Changes) {
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
impl Handler for Reactor {
    async fn prepare(&self) -> Result<(), Halt> {
        Ok(())
    }

    async fn begin(&self, run: &Run) -> Result<(), Halt> {
        let parked = self.parked.all(&run.name).await?;
        let mut stuck = self.stuck.lock().await;
        *stuck = parked.into_iter().map(|parked| (parked.key, parked.since_position)).collect();
        self.look_for_blocked().await?;
        self.report(run, &stuck);
        Ok(())
    }

    fn wants(&self, aggregate: &str) -> bool {
        self.sender.wants(aggregate)
    }

    async fn batch(&self, run: &Run, stored: i64, batch: &[Delivery]) -> Result<Reached, Halt> {
        let mut stuck = self.stuck.lock().await;
        let plan = Plan::of(&self.sender, batch);
        let reached = match (plan.reached, plan.newer) {
            (Some(reached), _) => reached,
            (None, Some(newer)) => return Err(Halt::Newer(newer)),
            (None, None) => stored,
        };
        if plan.turns.is_empty() {
            return Ok(Reached::Passed(reached));
        }
        let (waiting, ready) = plan::split(plan.turns, &stuck.keys().cloned().collect());
        let turns: Vec<Vec<Done>> = futures::stream::iter(ready)
            .map(|jobs| self.take_turn(jobs))
            .buffer_unordered(self.concurrency)
            .collect()
            .await;
        failpoint!("manager.reacted", &run.name);
        let mut tx = self.store.views().begin().await?;
        let waiting = waiting.into_iter().map(|job| Done { job, outcome: Outcome::Queue });
        let all: Vec<Done> = turns.into_iter().flatten().chain(waiting).collect();
        // First, for it keeps what is done beside the batches out until all is written.
        run.advance(&mut tx, stored, reached).await?;
        let mut deadlines = Changes::new();
        for done in &all {
            self.write(run, &mut tx, (done, &mut deadlines)).await?;
        }
        Deadlines::change(&mut tx, self.sender.name(), &deadlines).await?;
        tx.commit().await?;
        failpoint!("manager.checkpoint", &run.name);
        let stopped = all.into_iter().filter(|done| done.outcome.stops());
        let before = stuck.len();
        for done in stopped {
            stuck.entry(done.job.key).or_insert(done.job.event.position);
        }
        if stuck.len() > before {
            self.queued.notify_one();
        }
        self.report(run, &stuck);
        Ok(Reached::Stored(reached))
    }

    async fn beside(&self, run: &Run) -> Halt {
        self.work_beside(run).await
    }
}
