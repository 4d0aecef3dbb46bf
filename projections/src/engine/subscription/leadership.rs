//! The leadership term of a runner: it reads batches, passes them to the handler, and publishes its position.

use super::{Halt, Reached, Run, Subscription};
use crate::engine::feed::Delivery;
use crate::engine::progress::LoopKind;
use gdmarket_store::{Claim, failpoint};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long the checkpoint may lag behind events that the handler skips.
const SKIP_WITHIN: Duration = Duration::from_millis(100);

impl Subscription {
    async fn claim(&self, run: &Run) -> Result<RunnerPosition, Halt> {
        let claim = self.checkpoints.claim(&run.name, &run.source, run.epoch, 0).await?;
        let position = match claim {
            Claim::Position(position) => position,
            Claim::Fenced => return Err(Halt::Fenced),
            Claim::OtherLog(other) => {
                return Err(Halt::Refused(format!(
                    "it was built from log {} epoch {}, this one is log {} epoch {}: rebuild it",
                    other.log_id, other.epoch, run.source.log_id, run.source.epoch
                )));
            }
        };
        let head = self.feed.head().await?;
        if position > head {
            return Err(Halt::Refused(format!(
                "its checkpoint {position} is past the log's head {head}: the log has lost events, \
                 or it is another one; rebuild it"
            )));
        }
        // An earlier runner may have appended reactions up to the head.
        Ok(RunnerPosition { reactions_up_to: head, ..RunnerPosition::at(position) })
    }

    pub(super) async fn run_as_leader(
        &self,
        run: &Run,
        stop: &CancellationToken,
    ) -> Result<(), Halt> {
        let mut place = self.claim(run).await?;
        self.handler.begin(run).await?;
        // Another runner may have stored a problem since.
        self.blocked.set_cleared(None);
        tracing::debug!(subscription = run.name, epoch = run.epoch, place.reached, "a loop runs");
        loop {
            self.publish(&place);
            if stop.is_cancelled() {
                return self.store_skipped(run, &mut place).await;
            }
            let batch = self.feed.read_after(place.reached, self.batch).await?;
            failpoint!("projection.read", &run.name);
            if batch.is_empty() {
                self.report_lag(place.reached, None);
                self.rest(run, &mut place, stop).await?;
            } else {
                self.report_lag(place.reached, batch.first());
                self.handle(run, &mut place, &batch).await?;
            }
            self.clear_problem().await;
        }
    }

    async fn handle(
        &self,
        run: &Run,
        place: &mut RunnerPosition,
        batch: &[Delivery],
    ) -> Result<(), Halt> {
        let mut expected = place.reached;
        for delivery in batch {
            if delivery.previous != expected {
                return Err(Halt::Refused(format!(
                    "after {expected} came an event that follows {}",
                    delivery.previous
                )));
            }
            expected = delivery.event.position;
        }
        if batch.iter().any(|delivery| self.handler.wants(&delivery.event.stream.kind)) {
            match self.handler.batch(run, place.stored, batch).await? {
                Reached::CommittedTo(reached) => {
                    let reactions_up_to = match self.key.kind {
                        LoopKind::Manager => self.feed.head().await?,
                        LoopKind::View => place.reactions_up_to,
                    };
                    *place = RunnerPosition { reactions_up_to, ..RunnerPosition::at(reached) };
                    failpoint!("projection.committed", &run.name);
                    Ok(())
                }
                Reached::SkippedTo(reached) => self.skip_to(run, place, reached).await,
            }
        } else {
            self.skip_to(run, place, expected).await
        }
    }

    /// Advances over events with nothing to write; the checkpoint doesn't move at every batch.
    async fn skip_to(
        &self,
        run: &Run,
        place: &mut RunnerPosition,
        reached: i64,
    ) -> Result<(), Halt> {
        place.reached = reached;
        if place.skipped_since.elapsed() >= SKIP_WITHIN {
            self.store_skipped(run, place).await?;
        }
        Ok(())
    }

    /// Waits for new events.
    async fn rest(
        &self,
        run: &Run,
        place: &mut RunnerPosition,
        stop: &CancellationToken,
    ) -> Result<(), Halt> {
        let behind = place.reached > place.stored;
        let until = Instant::now() + if behind { SKIP_WITHIN.min(self.tick) } else { self.tick };
        tokio::select! {
            () = self.feed.wait_past(place.reached, until) => {}
            () = stop.cancelled() => {}
        }
        if behind && place.skipped_since.elapsed() >= SKIP_WITHIN {
            self.store_skipped(run, place).await?;
        }
        Ok(())
    }

    /// Stores the position of events that were skipped.
    async fn store_skipped(&self, run: &Run, place: &mut RunnerPosition) -> Result<(), Halt> {
        if place.reached > place.stored {
            let mut tx = self.checkpoints.db().begin().await?;
            run.advance(&mut tx, place.stored, place.reached).await?;
            tx.commit().await?;
            *place = RunnerPosition {
                reactions_up_to: place.reactions_up_to,
                ..RunnerPosition::at(place.reached)
            };
        }
        Ok(())
    }

    fn publish(&self, place: &RunnerPosition) {
        self.applied.update(&self.key, |progress| {
            progress.position = place.reached;
            progress.reactions_up_to = place.reactions_up_to;
            progress.is_leader = true;
        });
    }

    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a gauge is a float")]
    pub(super) fn report_lag(&self, reached: i64, next: Option<&Delivery>) {
        let name = self.key.name.clone();
        let head = self.feed.known_head().max(reached);
        let behind = if next.is_some() { head - reached } else { 0 };
        let waits = next
            .map_or(0, |next| ((self.clock)().timestamp_micros() - next.event.recorded_at).max(0));
        metrics::gauge!("gdmarket_projection_lag_events", "subscription" => name.clone())
            .set(behind as f64);
        metrics::gauge!("gdmarket_projection_lag_seconds", "subscription" => name)
            .set(waits as f64 / 1e6);
    }
}

/// The position of a runner.
struct RunnerPosition {
    /// The checkpoint in the database.
    stored: i64,
    /// Every event up to here is applied; beyond the checkpoint, events were skipped.
    reached: i64,
    /// The head of the log after the reactions to them.
    reactions_up_to: i64,
    /// Since when `reached` may be beyond the checkpoint.
    skipped_since: Instant,
}

impl RunnerPosition {
    fn at(position: i64) -> Self {
        Self {
            stored: position,
            reached: position,
            reactions_up_to: position,
            skipped_since: Instant::now(),
        }
    }
}
