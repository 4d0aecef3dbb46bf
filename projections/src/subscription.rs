//! The one loop behind every view and every process manager.
//!
//! Take the lease, claim the checkpoint, read a batch after it, have it handled, go on. What a batch
//! writes and where the checkpoint then stands is one transaction of the handler's; what this loop
//! adds is that nothing is skipped: a failing database is waited for, a lost lease or a claim by
//! another runner ends the writing, an event newer than this program gives the lease up.

mod lead;

use crate::applied::{Applied, Kind};
use crate::backoff::pause;
use crate::command_port::CommandPort;
use crate::feed::{Delivery, Feed};
use crate::reactor::BlockedDeadlines;
use async_trait::async_trait;
use gdmarket_store::{
    Checkpoints, Deadlines, Identity, Leases, LoopProblems, ParkedKeys, StoreError,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// The longest pause while the database is away: it is found again soon after its return.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait before looking again whether the lease is free.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// How long a loop that must not go on waits before it looks again.
const STANDSTILL: Duration = Duration::from_secs(5);

/// How often the log is reminded of a loop that is blocked.
const REMIND_EVERY: Duration = Duration::from_mins(1);

/// What a loop does with its batches.
#[async_trait]
pub(crate) trait Handler: Send + Sync + 'static {
    /// Makes what must be there before anyone asks; safe to repeat, run by every replica.
    async fn prepare(&self) -> Result<(), Halt>;

    /// Forgets what it knew and reads what a runner of this epoch must know.
    async fn begin(&self, run: &Run) -> Result<(), Halt>;

    /// Whether an event of this aggregate concerns it.
    fn wants(&self, aggregate: &str) -> bool;

    /// Handles a batch and moves the checkpoint, from where it stands in the database to the last
    /// event that could be handled; answers that position. Where nothing is to be written, moving the
    /// checkpoint is left to the loop.
    async fn batch(&self, run: &Run, stored: i64, batch: &[Delivery]) -> Result<Reached, Halt>;

    /// What is to be done beside the batches, until it fails: retries, deadlines.
    async fn beside(&self, run: &Run) -> Halt;
}

/// How far a batch came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// Up to here, and the checkpoint says so.
    Stored(i64),
    /// Up to here, without anything to be written: the checkpoint may follow later.
    Passed(i64),
}

/// One runner's time at the helm.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The subscription.
    pub(crate) name: String,
    /// The log it reads.
    pub(crate) source: Identity,
    /// The epoch of its lease.
    pub(crate) epoch: i64,
}

/// Why a runner can't go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    /// The database doesn't answer: the same again soon.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another runner has taken over.
    #[error("another runner has taken over")]
    Overtaken,
    /// A newer program must run this.
    #[error("the log holds what only a newer program reads: {0}")]
    Newer(String),
    /// What was written doesn't fit the log.
    #[error("{0}")]
    Refused(String),
}

/// One loop.
pub(crate) struct Subscription {
    pub(crate) key: (Kind, String),
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) feed: Arc<dyn Feed>,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) leases: Leases,
    pub(crate) holder: String,
    pub(crate) applied: Applied,
    /// Tells the time, for the lag.
    pub(crate) port: Arc<dyn CommandPort>,
    pub(crate) batch: u32,
    pub(crate) lease_ttl: Duration,
    pub(crate) tick: Duration,
    /// Nobody but this process can be at work: a lease left behind by a killed one is ended.
    pub(crate) alone: bool,
    /// What is known of a time in which it is blocked.
    pub(crate) blocked: Blocked,
}

/// What was reported of a loop that is blocked.
#[derive(Debug, Default)]
pub(crate) struct Blocked {
    /// Tries in a row that failed.
    attempts: AtomicU32,
    /// What was logged last, and when.
    logged: Mutex<Option<(&'static str, Instant)>>,
    /// When the database was last known to hold no reason for it; never, before the loop gets on.
    cleared: Mutex<Option<Instant>>,
}

impl Blocked {
    /// Whether a line of this kind is to be written now: the first, and then one a minute.
    fn is_to_be_logged(&self, kind: &'static str) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = logged.is_some_and(|(of, at)| of == kind && at.elapsed() < REMIND_EVERY);
        if !is_known {
            *logged = Some((kind, Instant::now()));
        }
        !is_known
    }

    /// Whether the database may hold a reason of an earlier time, or of another replica's.
    fn may_be_noted(&self, alone: bool) -> bool {
        let cleared = *self.cleared.lock().unwrap_or_else(PoisonError::into_inner);
        cleared.is_none_or(|at| !alone && at.elapsed() >= STANDSTILL)
    }

    fn set_cleared(&self, cleared: Option<Instant>) {
        *self.cleared.lock().unwrap_or_else(PoisonError::into_inner) = cleared;
    }
}

impl Subscription {
    /// Runs until `stop`, finishing the batch it is at.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut end_leftover = self.alone;
        while !stop.is_cancelled() {
            let ended = self.term(&stop, &mut end_leftover).await;
            self.applied.update(&self.key, |progress| progress.led = false);
            let rest = match ended {
                Ok(()) if stop.is_cancelled() => return,
                Ok(()) => {
                    // Another replica runs it, and clears what was noted.
                    self.report_stuck(false);
                    self.applied.update(&self.key, |progress| progress.problem = None);
                    LONGEST_REST.min(self.lease_ttl / 3)
                }
                Err(halt) => self.standstill(&halt).await,
            };
            if let Err(halt) = self.look_on().await {
                tracing::debug!(subscription = self.key.1, problem = %halt, "not looked at");
            }
            tokio::select! { () = sleep(rest) => {} () = stop.cancelled() => {} }
        }
    }

    /// One try to be the runner, and, if it succeeds, the time as such.
    async fn term(&self, stop: &CancellationToken, end_leftover: &mut bool) -> Result<(), Halt> {
        self.handler.prepare().await?;
        if std::mem::take(end_leftover) {
            self.leases.end(&self.key.1).await.inspect_err(|_| *end_leftover = true)?;
        }
        let Some(epoch) = self.leases.take(&self.key.1, &self.holder, self.lease_ttl).await? else {
            return Ok(());
        };
        let run = Run { name: self.key.1.clone(), source: self.feed.source(), epoch };
        let ended = tokio::select! {
            ended = self.lead(&run, stop) => ended,
            halt = self.handler.beside(&run) => Err(halt),
            () = self.keep_lease(epoch) => Err(Halt::Overtaken),
        };
        // Given up at once, so that another needn't wait for its end.
        if let Err(error) = self.leases.release(&self.key.1, &self.holder).await {
            tracing::debug!(subscription = self.key.1, %error, "the lease ends by itself");
        }
        ended
    }

    /// Tells what the runner would, where that is another process or nobody: a view that is paused or
    /// stands still falls behind, too.
    async fn look_on(&self) -> Result<(), Halt> {
        let name = &self.key.1;
        let all = self.checkpoints.all(&self.feed.source()).await?;
        let Some((_, reached)) = all.into_iter().find(|(of, _)| of == name) else { return Ok(()) };
        let next = self.feed.read_after(reached, 1).await?;
        self.report_lag(reached, next.first());
        let db = self.checkpoints.db();
        let parked = ParkedKeys::new(db.clone());
        let blocked = BlockedDeadlines::of(&Deadlines::new(db.clone()), name).await?;
        let first = parked.first(name).await?.into_iter().chain(blocked.first).min();
        let count = parked.count(name).await? + i64::try_from(blocked.count).unwrap_or(i64::MAX);
        report_parked(name, count, first.unwrap_or(0));
        Ok(())
    }

    async fn standstill(&self, halt: &Halt) -> Duration {
        let name = &self.key.1;
        let problem = halt.to_string();
        let tried = self.blocked.attempts.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if let Halt::Overtaken = halt {
            tracing::info!(subscription = name, "another runner has taken over");
            self.report_stuck(false);
            self.applied.update(&self.key, |progress| progress.problem = None);
            return self.tick;
        }
        let (kind, rest) = match halt {
            // The store has said why, where it wasn't closed in order; the process is about to end.
            Halt::Store(StoreError::Closed) => ("closed", LONGEST_PAUSE),
            Halt::Store(StoreError::Unavailable(_)) => ("waits", pause(tried, LONGEST_PAUSE)),
            Halt::Store(_) | Halt::Overtaken => ("blocked", pause(tried, LONGEST_PAUSE)),
            Halt::Newer(_) | Halt::Refused(_) => ("blocked", STANDSTILL),
        };
        if self.blocked.is_to_be_logged(kind) {
            self.log_blocked(kind, &problem, tried);
        }
        self.report_stuck(true);
        self.note_problem(&problem).await;
        self.applied.update(&self.key, |progress| progress.problem = Some(problem));
        rest
    }

    fn log_blocked(&self, kind: &str, problem: &str, tried: u32) {
        let name = &self.key.1;
        match kind {
            "closed" => tracing::debug!(subscription = name, problem, "a loop ends"),
            "waits" => {
                tracing::warn!(
                    subscription = name,
                    problem,
                    tried,
                    "a loop waits for the database"
                );
            }
            _ => tracing::error!(subscription = name, problem, tried, "a loop is blocked"),
        }
    }

    /// Has the problem shown by `views status`, which may run in another process.
    async fn note_problem(&self, problem: &str) {
        self.blocked.set_cleared(None);
        // A database that doesn't answer must not hold up the next try.
        let problems = self.problems();
        match timeout(LONGEST_PAUSE, problems.put(&self.key.1, problem)).await {
            Ok(Ok(())) => {}
            not_noted => tracing::debug!(subscription = self.key.1, ?not_noted, "not noted"),
        }
    }

    fn problems(&self) -> LoopProblems {
        LoopProblems::new(self.checkpoints.db().clone())
    }

    /// The loop gets on: whatever was reported of a time before is over.
    async fn gets_on(&self) {
        self.report_stuck(false);
        self.applied.update(&self.key, |progress| progress.problem = None);
        if self.blocked.attempts.swap(0, Ordering::Relaxed) > 0 {
            *self.blocked.logged.lock().unwrap_or_else(PoisonError::into_inner) = None;
            tracing::info!(subscription = self.key.1, "a loop gets on again");
        }
        if self.blocked.may_be_noted(self.alone) {
            match self.problems().clear(&self.key.1).await {
                Ok(()) => self.blocked.set_cleared(Some(Instant::now())),
                Err(error) => tracing::debug!(subscription = self.key.1, %error, "still noted"),
            }
        }
    }

    fn report_stuck(&self, stuck: bool) {
        metrics::gauge!("gdmarket_projection_stuck", "subscription" => self.key.1.clone())
            .set(if stuck { 1.0 } else { 0.0 });
    }

    /// Renews the lease until it is lost.
    async fn keep_lease(&self, epoch: i64) {
        let mut sure_until = Instant::now() + self.lease_ttl;
        while Instant::now() < sure_until {
            sleep(self.lease_ttl / 3).await;
            let asked_at = Instant::now();
            match self.leases.take(&self.key.1, &self.holder, self.lease_ttl).await {
                Ok(Some(same)) if same == epoch => sure_until = asked_at + self.lease_ttl,
                Ok(Some(_) | None) => return,
                Err(error) => {
                    tracing::debug!(subscription = self.key.1, %error, "the lease isn't renewed");
                }
            }
        }
    }
}

impl Run {
    /// Reports how many keys are parked, and the position of the first event that one of them stopped at.
    pub(crate) fn report_parked(&self, count: usize, first: Option<i64>) {
        report_parked(&self.name, i64::try_from(count).unwrap_or(i64::MAX), first.unwrap_or(0));
    }

    /// Keeps other runners out until `tx` ends, and says where the checkpoint stands.
    pub(crate) async fn hold(&self, tx: &mut gdmarket_store::Tx) -> Result<i64, Halt> {
        let held = Checkpoints::hold(tx, &self.name, &self.source, self.epoch).await?;
        held.ok_or(Halt::Overtaken)
    }

    /// Moves the checkpoint inside `tx`.
    pub(crate) async fn advance(
        &self,
        tx: &mut gdmarket_store::Tx,
        from: i64,
        to: i64,
    ) -> Result<(), Halt> {
        let (name, source) = (&self.name, &self.source);
        let advanced = Checkpoints::advance(tx, name, source, self.epoch, (from, to)).await?;
        if advanced { Ok(()) } else { Err(Halt::Overtaken) }
    }
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a gauge is a float")]
fn report_parked(name: &str, count: i64, first: i64) {
    metrics::gauge!("gdmarket_projection_parked", "subscription" => name.to_owned())
        .set(count as f64);
    metrics::gauge!("gdmarket_projection_parked_position", "subscription" => name.to_owned())
        .set(first as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_blocked_loop_is_logged_at_once_and_again_every_minute() {
        let blocked = Blocked::default();
        assert!(blocked.is_to_be_logged("blocked"), "at once");
        for minute in 1..=3 {
            for _ in 0..5 {
                tokio::time::advance(REMIND_EVERY / 6).await;
                assert!(!blocked.is_to_be_logged("blocked"), "within minute {minute}");
            }
            tokio::time::advance(REMIND_EVERY / 6).await;
            assert!(blocked.is_to_be_logged("blocked"), "after minute {minute}");
        }
        assert!(blocked.is_to_be_logged("waits"), "another reason is news");
        assert!(!blocked.is_to_be_logged("waits"));
    }
}
