//! The loop behind every view and every process manager.
//!
//! It takes the lease, claims the checkpoint, reads the batch after it, passes the batch to its handler,
//! and repeats. The handler writes the results of a batch and the new checkpoint in one transaction. No
//! event is skipped: the loop waits for a database that doesn't answer, stops writing once the lease is
//! lost or another runner has claimed the checkpoint, and releases the lease at an event that only a newer
//! program can read.

mod blocked;
mod handler;
mod leadership;

pub(crate) use blocked::Blocked;
pub(crate) use handler::{BlockedWork, Halt, Handler, Reached, Run};

use crate::engine::backoff::pause;
use crate::engine::feed::Feed;
use crate::engine::held_lease::HeldLease;
use crate::engine::progress::{Applied, LoopKey};
use chrono::{DateTime, Utc};
use gdmarket_store::{Checkpoints, KnownSources, Leases, LoopProblems, ParkedKeys, StoreError};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// The longest pause while the database doesn't answer, so that its return is noticed soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause before checking again whether the lease is free.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// The pause of a blocked loop before it tries again.
const BLOCKED_PAUSE: Duration = Duration::from_secs(5);

/// Returns the current time.
pub(crate) type TimeSource = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// One loop.
pub(crate) struct Subscription {
    pub(crate) key: LoopKey,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) feed: Arc<dyn Feed>,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) leases: Leases,
    pub(crate) holder: String,
    pub(crate) applied: Applied,
    /// The clock that measures the lag.
    pub(crate) clock: TimeSource,
    pub(crate) batch: u32,
    pub(crate) lease_ttl: Duration,
    pub(crate) tick: Duration,
    /// No other process can run this loop, so the lease of a killed process is ended at the start.
    pub(crate) alone: bool,
    /// The state of logging and storing the problem while the loop is blocked.
    pub(crate) blocked: Blocked,
}

impl Subscription {
    /// Runs until `stop`, and finishes the batch in flight.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut end_leftover = self.alone;
        while !stop.is_cancelled() {
            let ended = self.leadership_term(&stop, &mut end_leftover).await;
            self.applied.update(&self.key, |progress| progress.is_leader = false);
            let rest = match ended {
                Ok(()) if stop.is_cancelled() => return,
                Ok(()) => {
                    // Another replica runs the loop, and clears the noted problem.
                    self.report_blocked(false);
                    self.applied.update(&self.key, |progress| progress.problem = None);
                    LONGEST_REST.min(self.lease_ttl / 3)
                }
                Err(halt) => self.after_halt(&halt).await,
            };
            if let Err(halt) = self.report_as_follower().await {
                tracing::debug!(subscription = self.key.name, problem = %halt, "the lag isn't reported");
            }
            tokio::select! { () = sleep(rest) => {} () = stop.cancelled() => {} }
        }
    }

    /// Tries to become the runner and, if that succeeds, runs the leadership term until its end.
    async fn leadership_term(
        &self,
        stop: &CancellationToken,
        end_leftover: &mut bool,
    ) -> Result<(), Halt> {
        self.handler.prepare().await?;
        self.feed.ready().await?;
        self.verify_source().await?;
        if std::mem::take(end_leftover) {
            self.leases.end(&self.key.name).await.inspect_err(|_| *end_leftover = true)?;
        }
        let Some(epoch) = self.leases.take(&self.key.name, &self.holder, self.lease_ttl).await?
        else {
            return Ok(());
        };
        let lease = HeldLease {
            leases: &self.leases,
            name: &self.key.name,
            holder: &self.holder,
            ttl: self.lease_ttl,
            epoch,
        };
        let run = Run { key: self.key.clone(), source: self.feed.source(), epoch };
        let ended = tokio::select! {
            ended = self.run_as_leader(&run, stop) => ended,
            halt = self.handler.background(&run) => Err(halt),
            () = lease.keep() => Err(Halt::Fenced),
        };
        lease.release().await;
        ended
    }

    /// Refuses another log than the service had when it was first read, and this one in another epoch.
    async fn verify_source(&self) -> Result<(), Halt> {
        let Some(service) = self.key.source else { return Ok(()) };
        let log = self.feed.source();
        let known = KnownSources::new(self.checkpoints.db().clone()).note(service, &log).await?;
        if known == log {
            return Ok(());
        }
        Err(Halt::Refused(format!(
            "{service} had log {} epoch {}, now it has log {} epoch {}: if it was restored, stop all servers of this \
             service and run `gdmarket migrate --restored`",
            known.log_id, known.epoch, log.log_id, log.epoch
        )))
    }

    /// Reports the lag and the parked keys where another process is the runner, or none is, since a paused or
    /// blocked view falls behind, too.
    async fn report_as_follower(&self) -> Result<(), Halt> {
        let name = &self.key.name;
        let all = self.checkpoints.all(&self.feed.source()).await?;
        let mut all = all.into_iter();
        let found = all.find(|(of, _)| *of == self.key.subscriber);
        let Some((_, reached)) = found else { return Ok(()) };
        let next = self.feed.read_after(reached, 1).await?;
        self.report_lag(reached, next.first());
        let db = self.checkpoints.db();
        let parked = ParkedKeys::new(db.clone());
        let blocked = self.handler.blocked().await?;
        let first = parked.first(name).await?.into_iter().chain(blocked.first).min();
        let count = parked.count(name).await? + i64::try_from(blocked.count).unwrap_or(i64::MAX);
        handler::report_parked(&self.key, count, first.unwrap_or(0));
        Ok(())
    }

    async fn after_halt(&self, halt: &Halt) -> Duration {
        let name = &self.key.name;
        let problem = halt.to_string();
        let tried = self.blocked.attempts.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if let Halt::Fenced = halt {
            tracing::info!(subscription = name, "another runner has taken over");
            self.report_blocked(false);
            self.applied.update(&self.key, |progress| progress.problem = None);
            return self.tick;
        }
        let (kind, rest) = match halt {
            // The process is about to end; the store has logged the reason, if there is one.
            Halt::Store(StoreError::Closed) => ("closed", LONGEST_PAUSE),
            Halt::Store(StoreError::Unavailable(_)) => ("waits", pause(tried, LONGEST_PAUSE)),
            Halt::Unreachable(_) => ("waits for its source", pause(tried, LONGEST_PAUSE)),
            Halt::Store(_) | Halt::Fenced => ("blocked", pause(tried, LONGEST_PAUSE)),
            Halt::Newer(_) | Halt::Refused(_) => ("blocked", BLOCKED_PAUSE),
        };
        if self.blocked.is_to_be_logged(kind) {
            self.log_blocked(kind, &problem, tried);
        }
        if let Halt::Unreachable(_) = halt {
            self.report_unread_source();
        }
        self.report_blocked(true);
        self.note_problem(&problem).await;
        self.applied.update(&self.key, |progress| progress.problem = Some(problem));
        rest
    }

    fn log_blocked(&self, kind: &str, problem: &str, tried: u32) {
        let name = &self.key.name;
        let waits_for = match kind {
            "closed" => return tracing::debug!(subscription = name, problem, "a loop ends"),
            "waits" => "the database",
            "waits for its source" => "its source",
            _ => {
                tracing::error!(subscription = name, problem, tried, "a loop is blocked");
                return;
            }
        };
        tracing::warn!(subscription = name, problem, tried, "a loop waits for {waits_for}");
    }

    /// Stores the problem for `views status`, which may run in another process.
    async fn note_problem(&self, problem: &str) {
        self.blocked.set_cleared(None);
        // A database that doesn't answer must not delay the next try.
        let problems = self.problems();
        match timeout(LONGEST_PAUSE, problems.put(&self.key.name, problem)).await {
            Ok(Ok(())) => {}
            failed => {
                tracing::debug!(subscription = self.key.name, ?failed, "the problem isn't stored");
            }
        }
    }

    fn problems(&self) -> LoopProblems {
        LoopProblems::new(self.checkpoints.db().clone())
    }

    /// Clears what was reported while the loop was blocked, now that it advances.
    async fn clear_problem(&self) {
        self.report_blocked(false);
        self.applied.update(&self.key, |progress| progress.problem = None);
        if self.blocked.attempts.swap(0, Ordering::Relaxed) > 0 {
            *self.blocked.logged.lock().unwrap_or_else(PoisonError::into_inner) = None;
            tracing::info!(subscription = self.key.name, "a blocked loop continues");
        }
        if self.blocked.may_be_noted(self.alone) {
            match self.problems().clear(&self.key.name).await {
                Ok(()) => self.blocked.set_cleared(Some(Instant::now())),
                Err(error) => {
                    tracing::debug!(subscription = self.key.name, %error, "the problem isn't cleared");
                }
            }
        }
    }

    fn report_blocked(&self, is_blocked: bool) {
        metrics::gauge!("gdmarket_projection_blocked", self.key.labels()).set(if is_blocked {
            1.0
        } else {
            0.0
        });
    }
}
