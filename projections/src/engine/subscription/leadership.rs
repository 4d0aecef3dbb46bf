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
        let subscriber = &run.key.subscriber;
        let claim = self.checkpoints.claim(subscriber, &run.source, run.epoch, 0).await?;
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
        let head = self.feed.head_for(position).await?;
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
        tracing::debug!(subscription = run.name(), epoch = run.epoch, place.reached, "a loop runs");
        loop {
            self.publish(&place);
            if stop.is_cancelled() {
                return self.store_skipped(run, &mut place).await;
            }
            let batch = self.feed.read_after(place.reached, self.batch).await?;
            failpoint!("projection.read", run.name());
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
        let batch = chained(place.reached, batch).map_err(|gap| self.gap(gap))?;
        let Some(last) = batch.last() else { return Ok(()) };
        let expected = last.event.position;
        if batch.iter().any(|delivery| self.handler.wants(&delivery.event.stream.kind)) {
            match self.handler.batch(run, place.stored, batch).await? {
                Reached::CommittedTo(reached) => {
                    // Reactions are in the own log, and only those to its own events are waited for: the head of
                    // another log says nothing, and its owner may be away.
                    let reactions_up_to = match self.key.kind {
                        LoopKind::Manager if self.key.source.is_none() => self.feed.head().await?,
                        LoopKind::Manager | LoopKind::View => place.reactions_up_to,
                    };
                    *place = RunnerPosition { reactions_up_to, ..RunnerPosition::at(reached) };
                    failpoint!("projection.committed", run.name());
                    Ok(())
                }
                Reached::SkippedTo(reached) => self.skip_to(run, place, reached).await,
            }
        } else {
            self.skip_to(run, place, expected).await
        }
    }

    /// A gap in the own log is for an operator; another service's log is read again.
    const fn gap(&self, gap: String) -> Halt {
        if self.key.source.is_some() { Halt::Unreachable(gap) } else { Halt::Refused(gap) }
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
        self.blocked.source_was_read();
        let head = self.feed.known_head().max(reached);
        let behind = if next.is_some() { head - reached } else { 0 };
        let waits = next
            .map_or(0, |next| ((self.clock)().timestamp_micros() - next.event.recorded_at).max(0));
        let labels = self.key.labels();
        metrics::gauge!("gdmarket_projection_lag_events", labels.clone()).set(behind as f64);
        metrics::gauge!("gdmarket_projection_lag_seconds", labels).set(waits as f64 / 1e6);
    }
}

impl Subscription {
    /// Reports how far it may be behind a source that doesn't answer: what happened there since it was read last isn't
    /// known.
    pub(super) fn report_unread_source(&self) {
        let unread = self.blocked.source_unread_for().as_secs_f64();
        metrics::gauge!("gdmarket_projection_lag_seconds", self.key.labels()).set(unread);
    }
}

/// The deliveries that continue after `reached`, up to the first gap. A feed may repeat events, which are dropped, and may
/// lack some, which it has at the next reading; the error describes a gap at the beginning.
fn chained(reached: i64, batch: &[Delivery]) -> Result<&[Delivery], String> {
    let is_old = |delivery: &&Delivery| delivery.event.position <= reached;
    let repeated = batch.iter().take_while(is_old).count();
    let new = batch.get(repeated..).unwrap_or_default();
    let mut expected = reached;
    for (at, delivery) in new.iter().enumerate() {
        if delivery.previous != expected {
            let whole = new.get(..at).filter(|whole| !whole.is_empty());
            return whole.ok_or_else(|| {
                let previous = delivery.previous;
                format!("after {expected} came an event that follows {previous}")
            });
        }
        expected = delivery.event.position;
    }
    Ok(new)
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
