//! The background work of a process manager: retries of parked keys, and reactions that take long.
//! Deadlines are in [`super::deadlines`].

use super::job::Job;
use super::manager::ProcessStep;
use super::outcome::Outcome;
use super::reactor::{AT_ONCE, Done, Reactor};
use super::sender;
use crate::engine::feed::Unreadable;
use crate::engine::subscription::{Halt, Run};
use futures::StreamExt;
use futures::future::join;
use gdmarket_store::{Changes, Parked, ParkedKeys, failpoint};
use tokio::time::sleep;

/// Queued events of one key per query.
const EVENTS_AT_ONCE: u32 = 50;

/// The content of a queued position.
enum Queued<S> {
    Job(Job<S>),
    /// The event has no reactions.
    Nothing,
    /// The log has no event there.
    Missing,
}

/// One try of a queued position.
struct Try<S> {
    position: i64,
    job: Option<Job<S>>,
    outcome: Outcome,
}

/// The reason to park a position without an event. No event ever leaves a log, so the position belongs to
/// another log, or the log was damaged, which needs manual action.
fn missing(position: i64) -> String {
    format!("the log has no event at position {position}: run `gdmarket check`")
}

impl<S: ProcessStep> Reactor<S> {
    /// Works until something fails.
    pub(super) async fn work_in_background(&self, run: &Run) -> Halt {
        loop {
            let (retried, fired) = join(self.retry(run), self.fire(run)).await;
            if let Err(halt) = retried.and(fired) {
                return halt;
            }
            tokio::select! {
                () = self.queued.notified() => {}
                () = sleep(self.tick) => {}
            }
        }
    }

    async fn retry(&self, run: &Run) -> Result<(), Halt> {
        let due = self.parked.due(run.name(), AT_ONCE).await?;
        let mut tries = futures::stream::iter(due)
            .map(|parked| self.retry_key(run, parked))
            .buffer_unordered(self.concurrency);
        while let Some(tried) = tries.next().await {
            tried?;
        }
        Ok(())
    }

    /// Handles the queue of a key until it is empty or stops again.
    async fn retry_key(&self, run: &Run, parked: Parked) -> Result<(), Halt> {
        loop {
            let key = &parked.key;
            let positions = self.parked.queued(run.name(), key, EVENTS_AT_ONCE).await?;
            let last_round = positions.len() < usize::try_from(EVENTS_AT_ONCE).unwrap_or(0);
            for position in positions {
                let (job, outcome) = match self.queued_at(key, position).await? {
                    Queued::Job(job) => {
                        let outcome = self.sender.react_fully(&job).await;
                        (Some(job), outcome)
                    }
                    Queued::Nothing => (None, Outcome::Done),
                    Queued::Missing => {
                        let outcome = Outcome::Park(missing(position));
                        let next = "the events that queue behind it wait";
                        self.sender.alert_operator(&outcome, position, key, next);
                        (None, outcome)
                    }
                };
                let stops = outcome.stops();
                failpoint!("manager.retried", run.name());
                self.write_try(run, &parked, Try { position, job, outcome }).await?;
                failpoint!("manager.dequeued", run.name());
                if stops {
                    return Ok(());
                }
            }
            if last_round && self.unpark(run, key).await? {
                return Ok(());
            }
        }
    }

    async fn queued_at(&self, key: &str, position: i64) -> Result<Queued<S>, Halt> {
        // A reader may know of an event before the tail does: a missing event is not done.
        let Some(event) = self.feed.at(position).await? else { return Ok(Queued::Missing) };
        match self.sender.reactions(&event) {
            // An event that queued behind its stream keeps that key.
            Ok(Some(reactions)) => {
                Ok(Queued::Job(Job { key: key.to_owned(), ..Job::new(&event, reactions) }))
            }
            Ok(None) => Ok(Queued::Nothing),
            Err(Unreadable::Broken(why)) => {
                Ok(Queued::Job(Job::unreadable(&event, key.to_owned(), why)))
            }
            Err(Unreadable::Newer(what)) => Err(Halt::Newer(what)),
        }
    }

    async fn write_try(&self, run: &Run, parked: &Parked, tried: Try<S>) -> Result<(), Halt> {
        let Try { position, job, outcome } = tried;
        let mut tx = self.store.views().begin().await?;
        run.hold(&mut tx).await?;
        match (&outcome, job) {
            (Outcome::Newer, _) => return Err(Halt::Newer(parked.key.clone())),
            (Outcome::Done, job) => {
                if let Some(job) = job {
                    let mut deadlines = Changes::new();
                    let done = Done { job, outcome };
                    self.write(run, &mut tx, &done, &mut deadlines).await?;
                    self.change_deadlines(&mut tx, &deadlines).await?;
                }
                // An operator may have dropped the event a moment ago.
                let _was_there =
                    ParkedKeys::dequeue(&mut tx, run.name(), &parked.key, position).await?;
            }
            (Outcome::Queue | Outcome::Later | Outcome::Retry(_) | Outcome::Park(_), job) => {
                if !ParkedKeys::keep_queued(&mut tx, run.name(), &parked.key, position).await? {
                    // An operator has dropped the event, and the key continues at the next one.
                    return Ok(());
                }
                let again = stopped_again(parked, &Try { position, job, outcome });
                let pause = sender::retry_after(again.attempts);
                ParkedKeys::park(&mut tx, run.name(), &again, pause).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// Unparks a key, unless an event has queued behind it meanwhile.
    async fn unpark(&self, run: &Run, key: &str) -> Result<bool, Halt> {
        let mut parked_at = self.parked_at.lock().await;
        let mut tx = self.store.views().begin().await?;
        run.hold(&mut tx).await?;
        let free = ParkedKeys::unpark(&mut tx, run.name(), key).await?;
        tx.commit().await?;
        failpoint!("manager.unparked", run.name());
        if free {
            parked_at.remove(key);
            self.report(run, &parked_at);
        }
        Ok(free)
    }
}

/// The row of a key that stopped once more.
fn stopped_again<S>(parked: &Parked, tried: &Try<S>) -> Parked {
    let Try { position, job, outcome } = tried;
    let recorded_at = job.as_ref().map(|job| job.event.recorded_at);
    Parked {
        state: outcome.state().to_owned(),
        reason: outcome.reason().to_owned(),
        since_position: *position,
        since_time: recorded_at.unwrap_or(parked.since_time),
        attempts: parked.attempts.saturating_add(1),
        ..parked.clone()
    }
}
