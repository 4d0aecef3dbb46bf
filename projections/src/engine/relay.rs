//! The relay copies the own log to a broker, in order, so that other processes get its events at once and also while
//! this process is away.
//!
//! One process of a service runs it, under a lease. It has no checkpoint: what the broker has is asked of the broker, at
//! the beginning and after every error, so that nothing can be noted as published that isn't there. Consumers find out by
//! the position of the event before whether one is missing, and read it from the log.

mod relay_target;

pub use relay_target::{RelayError, RelayTarget};

use crate::engine::backoff::pause;
use crate::engine::feed::{Delivery, Feed};
use crate::engine::held_lease::HeldLease;
use crate::engine::subscription::{Blocked, TimeSource};
use gdmarket_store::{Leases, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// The name of its lease.
const NAME: &str = "relay";
/// Events per publication.
const WINDOW: u32 = 256;
/// The positions before the head that an empty broker is filled with. A consumer that lacks earlier ones reads the log.
const REFILL: i64 = 100_000;
/// The longest pause after an error.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The pause before a refused publication is tried again.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
/// How often an idle relay makes sure that the broker still has everything.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The relay of one log.
pub(crate) struct Relay {
    pub(crate) feed: Arc<dyn Feed>,
    pub(crate) target: Arc<dyn RelayTarget>,
    pub(crate) store: Store,
    pub(crate) leases: Leases,
    pub(crate) holder: String,
    pub(crate) lease_ttl: Duration,
    /// The clock that measures the lag.
    pub(crate) clock: TimeSource,
    /// No other process can run it, so the lease of a killed process is ended at the start.
    pub(crate) alone: bool,
    pub(crate) blocked: Blocked,
}

/// How far the relay has come.
#[derive(Default)]
struct RelayProgress {
    /// The newest position that the broker has, once it has said so.
    reached: Option<i64>,
    /// Failures in a row.
    failures: u32,
}

impl Relay {
    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut end_leftover = self.alone;
        while !stop.is_cancelled() {
            if let Err(error) = self.leadership_term(&stop, &mut end_leftover).await {
                tracing::debug!(%error, "the relay has no lease");
            }
            let rest = LONGEST_PAUSE.min(self.lease_ttl / 3);
            tokio::select! { () = sleep(rest) => {} () = stop.cancelled() => {} }
        }
    }

    async fn leadership_term(
        &self,
        stop: &CancellationToken,
        end_leftover: &mut bool,
    ) -> Result<(), StoreError> {
        if std::mem::take(end_leftover) {
            self.leases.end(NAME).await.inspect_err(|_| *end_leftover = true)?;
        }
        let Some(epoch) = self.leases.take(NAME, &self.holder, self.lease_ttl).await? else {
            return Ok(());
        };
        let lease = HeldLease {
            leases: &self.leases,
            name: NAME,
            holder: &self.holder,
            ttl: self.lease_ttl,
            epoch,
        };
        tokio::select! {
            () = self.run_as_leader(stop) => {}
            () = lease.keep() => tracing::info!("another process has taken over the relay"),
        }
        // The process that runs it reports its lag.
        report_lag(0, 0);
        lease.release().await;
        Ok(())
    }

    async fn run_as_leader(&self, stop: &CancellationToken) {
        let mut progress = RelayProgress::default();
        while let Err(error) = self.publish(stop, &mut progress).await {
            progress.failures = progress.failures.saturating_add(1);
            let rest = self.after_failure(&error, &progress).await;
            tokio::select! { () = sleep(rest) => {} () = stop.cancelled() => return }
        }
    }

    /// Publishes from what the broker has until `stop`, or until an error after which it isn't known what it has.
    async fn publish(
        &self,
        stop: &CancellationToken,
        progress: &mut RelayProgress,
    ) -> Result<(), RelayError> {
        let mut reached = self.resume().await?;
        loop {
            progress.reached = Some(reached);
            if progress.failures > 0 {
                progress.failures = 0;
                tracing::info!(position = reached, "the relay publishes again");
            }
            if stop.is_cancelled() {
                return Ok(());
            }
            let batch = self.feed.read_after(reached, WINDOW).await?;
            self.report(reached, batch.first());
            match batch.last() {
                Some(last) => {
                    self.target.publish(self.feed.source(), &batch).await?;
                    reached = last.event.position;
                    let published = u64::try_from(batch.len()).unwrap_or(0);
                    metrics::counter!("gdmarket_relay_published_total").increment(published);
                }
                None => reached = self.wait_for_events(reached, stop).await?,
            }
        }
    }

    /// The position that publishing continues after.
    async fn resume(&self) -> Result<i64, RelayError> {
        let head = self.feed.head().await?;
        match self.target.resume(self.feed.source(), head).await? {
            Some(position) => Ok(position),
            None if head > REFILL => Ok(self.store.log().last_up_to(head - REFILL).await?),
            None => Ok(0),
        }
    }

    /// Waits for events after `reached`; without any it makes sure that the broker has not lost those that it had.
    async fn wait_for_events(
        &self,
        reached: i64,
        stop: &CancellationToken,
    ) -> Result<i64, RelayError> {
        tokio::select! {
            () = self.feed.wait_past(reached, Instant::now() + CHECK_INTERVAL) => {}
            () = stop.cancelled() => return Ok(reached),
        }
        if self.feed.known_head() > reached { Ok(reached) } else { self.resume().await }
    }

    /// Reports the failure; returns the pause before the next try.
    async fn after_failure(&self, error: &RelayError, progress: &RelayProgress) -> Duration {
        if let Some(reached) = progress.reached
            && let Ok(next) = self.feed.read_after(reached, 1).await
        {
            self.report(reached, next.first());
        }
        match error {
            RelayError::Refused(problem) => {
                if self.blocked.is_to_be_logged("refused") {
                    tracing::error!(problem, "the relay is refused");
                }
                REFUSED_PAUSE
            }
            RelayError::Unknown(problem) => {
                if self.blocked.is_to_be_logged("waits") {
                    tracing::warn!(problem, "the relay waits for its broker");
                }
                pause(progress.failures, LONGEST_PAUSE)
            }
        }
    }

    fn report(&self, reached: i64, next: Option<&Delivery>) {
        let (behind, waits) = next.map_or((0, 0), |next| {
            let waits = (self.clock)().timestamp_micros() - next.event.recorded_at;
            (self.feed.known_head().max(next.event.position) - reached, waits.max(0))
        });
        report_lag(behind, waits);
    }
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a gauge is a float")]
fn report_lag(events: i64, micros: i64) {
    metrics::gauge!("gdmarket_relay_lag_events").set(events as f64);
    metrics::gauge!("gdmarket_relay_lag_seconds").set(micros as f64 / 1e6);
}
