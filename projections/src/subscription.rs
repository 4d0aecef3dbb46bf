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
use async_trait::async_trait;
use gdmarket_store::{Checkpoints, Identity, Leases, ParkedKeys, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// The longest pause while the database is away: it is found again soon after its return.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait before looking again whether the lease is free.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// How long a loop that must not go on waits before it looks again.
const STANDSTILL: Duration = Duration::from_secs(5);

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
}

impl Subscription {
    /// Runs until `stop`, finishing the batch it is at.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut attempt = 0;
        let mut end_leftover = self.alone;
        while !stop.is_cancelled() {
            let ended = self.term(&stop, &mut end_leftover, &mut attempt).await;
            self.applied.update(&self.key, |progress| progress.led = false);
            let rest = match ended {
                Ok(()) if stop.is_cancelled() => return,
                Ok(()) => {
                    self.report_stuck(false);
                    LONGEST_REST.min(self.lease_ttl / 3)
                }
                Err(halt) => self.standstill(&halt, &mut attempt),
            };
            if let Err(halt) = self.look_on().await {
                tracing::debug!(subscription = self.key.1, problem = %halt, "not looked at");
            }
            tokio::select! { () = sleep(rest) => {} () = stop.cancelled() => {} }
        }
    }

    /// One try to be the runner, and, if it succeeds, the time as such.
    async fn term(
        &self,
        stop: &CancellationToken,
        end_leftover: &mut bool,
        attempt: &mut u32,
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
            ended = self.lead(&run, stop, attempt) => ended,
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
        let parked = ParkedKeys::new(self.checkpoints.db().clone());
        report_parked(name, parked.count(name).await?);
        Ok(())
    }

    fn standstill(&self, halt: &Halt, attempt: &mut u32) -> Duration {
        let name = &self.key.1;
        let problem = halt.to_string();
        *attempt = attempt.saturating_add(1);
        let rest = match halt {
            Halt::Store(_) => {
                tracing::warn!(subscription = name, problem, "a loop waits for the database");
                pause(*attempt, LONGEST_PAUSE)
            }
            Halt::Overtaken => {
                tracing::info!(subscription = name, "another runner has taken over");
                self.tick
            }
            Halt::Newer(_) | Halt::Refused(_) => {
                tracing::error!(subscription = name, problem, "a loop stands still");
                STANDSTILL
            }
        };
        let stuck = !matches!(halt, Halt::Overtaken);
        self.report_stuck(stuck);
        self.applied.update(&self.key, |progress| progress.problem = stuck.then_some(problem));
        rest
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
    /// Tells how many keys can't go on.
    pub(crate) fn report_parked(&self, count: usize) {
        report_parked(&self.name, i64::try_from(count).unwrap_or(i64::MAX));
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
fn report_parked(name: &str, count: i64) {
    metrics::gauge!("gdmarket_projection_parked", "subscription" => name.to_owned())
        .set(count as f64);
}
