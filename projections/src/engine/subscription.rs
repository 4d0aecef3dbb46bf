//! The one loop behind every view and every process manager.
//!
//! It takes the lease, claims the checkpoint, reads a batch after it, has its handler process the
//! batch, and continues. The handler writes the results of a batch and the new checkpoint in one
//! transaction. The loop makes sure that nothing is skipped: it waits for a database that doesn't
//! answer, it stops writing once the lease is lost or another runner has claimed the checkpoint, and
//! it gives the lease up at an event that only a newer program can read.

mod blocked;
mod handler;
mod leadership;

pub(crate) use blocked::Blocked;
pub(crate) use handler::{BlockedWork, Halt, Handler, Reached, Run};

use crate::engine::backoff::pause;
use crate::engine::feed::Feed;
use crate::engine::progress::{Applied, LoopKind};
use chrono::{DateTime, Utc};
use gdmarket_store::{Checkpoints, Leases, LoopProblems, ParkedKeys, StoreError};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// The longest pause while the database is away: it is found again soon after its return.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait before looking again whether the lease is free.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// How long a blocked loop waits before it tries again.
const BLOCKED_PAUSE: Duration = Duration::from_secs(5);

/// Returns the current time.
pub(crate) type TimeSource = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// One loop.
pub(crate) struct Subscription {
    pub(crate) key: (LoopKind, String),
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) feed: Arc<dyn Feed>,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) leases: Leases,
    pub(crate) holder: String,
    pub(crate) applied: Applied,
    /// The time that the lag is measured by.
    pub(crate) clock: TimeSource,
    pub(crate) batch: u32,
    pub(crate) lease_ttl: Duration,
    pub(crate) tick: Duration,
    /// No other process can run this loop: a lease that a killed process left is ended.
    pub(crate) alone: bool,
    /// What is known of a time in which it is blocked.
    pub(crate) blocked: Blocked,
}

impl Subscription {
    /// Runs until `stop`, and finishes the batch that is in flight.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut end_leftover = self.alone;
        while !stop.is_cancelled() {
            let ended = self.leadership_term(&stop, &mut end_leftover).await;
            self.applied.update(&self.key, |progress| progress.led = false);
            let rest = match ended {
                Ok(()) if stop.is_cancelled() => return,
                Ok(()) => {
                    // Another replica runs it, and clears what was noted.
                    self.report_stuck(false);
                    self.applied.update(&self.key, |progress| progress.problem = None);
                    LONGEST_REST.min(self.lease_ttl / 3)
                }
                Err(halt) => self.after_halt(&halt).await,
            };
            if let Err(halt) = self.report_as_follower().await {
                tracing::debug!(subscription = self.key.1, problem = %halt, "not looked at");
            }
            tokio::select! { () = sleep(rest) => {} () = stop.cancelled() => {} }
        }
    }

    /// One try to become the runner and, if it succeeds, the leadership term until its end.
    async fn leadership_term(
        &self,
        stop: &CancellationToken,
        end_leftover: &mut bool,
    ) -> Result<(), Halt> {
        self.handler.prepare().await?;
        if std::mem::take(end_leftover) {
            self.leases.end(&self.key.1).await.inspect_err(|_| *end_leftover = true)?;
        }
        let Some(epoch) = self.leases.take(&self.key.1, &self.holder, self.lease_ttl).await? else {
            return Ok(());
        };
        let run = Run { name: self.key.1.clone(), source: self.feed.source(), epoch };
        let ended = tokio::select! {
            ended = self.run_as_leader(&run, stop) => ended,
            halt = self.handler.background(&run) => Err(halt),
            () = self.keep_lease(epoch) => Err(Halt::Fenced),
        };
        // Given up at once, so that another needn't wait for its end.
        if let Err(error) = self.leases.release(&self.key.1, &self.holder).await {
            tracing::debug!(subscription = self.key.1, %error, "the lease ends by itself");
        }
        ended
    }

    /// Reports the lag and the parked keys where another process is the runner, or none is: a view that
    /// is paused or blocked falls behind, too.
    async fn report_as_follower(&self) -> Result<(), Halt> {
        let name = &self.key.1;
        let all = self.checkpoints.all(&self.feed.source()).await?;
        let Some((_, reached)) = all.into_iter().find(|(of, _)| of == name) else { return Ok(()) };
        let next = self.feed.read_after(reached, 1).await?;
        self.report_lag(reached, next.first());
        let db = self.checkpoints.db();
        let parked = ParkedKeys::new(db.clone());
        let blocked = self.handler.blocked().await?;
        let first = parked.first(name).await?.into_iter().chain(blocked.first).min();
        let count = parked.count(name).await? + i64::try_from(blocked.count).unwrap_or(i64::MAX);
        handler::report_parked(name, count, first.unwrap_or(0));
        Ok(())
    }

    async fn after_halt(&self, halt: &Halt) -> Duration {
        let name = &self.key.1;
        let problem = halt.to_string();
        let tried = self.blocked.attempts.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if let Halt::Fenced = halt {
            tracing::info!(subscription = name, "another runner has taken over");
            self.report_stuck(false);
            self.applied.update(&self.key, |progress| progress.problem = None);
            return self.tick;
        }
        let (kind, rest) = match halt {
            // The store has said why, where it wasn't closed in order; the process is about to end.
            Halt::Store(StoreError::Closed) => ("closed", LONGEST_PAUSE),
            Halt::Store(StoreError::Unavailable(_)) => ("waits", pause(tried, LONGEST_PAUSE)),
            Halt::Store(_) | Halt::Fenced => ("blocked", pause(tried, LONGEST_PAUSE)),
            Halt::Newer(_) | Halt::Refused(_) => ("blocked", BLOCKED_PAUSE),
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
