//! What a process manager does in the background of its batches: keys that wait for another try, and
//! reactions that take long. Deadlines are in [`super::deadlines`].

use super::job::Job;
use super::manager::ProcessStep;
use super::outcome::Outcome;
use super::reactor::{AT_ONCE, Done, Reactor};
use super::sender;
use crate::engine::feed::Unreadable;
use crate::engine::subscription::{Halt, Run};
use futures::StreamExt;
use futures::future::join;
use gdmarket_store::{Changes, Deadlines, Parked, ParkedKeys, Tx, failpoint};
use tokio::time::sleep;

/// Queued events of one key handled between two writes.
const EVENTS_AT_ONCE: u32 = 50;

/// What is at a queued position.
enum Queued<S> {
    Job(Job<S>),
    /// Nothing follows from its event.
    Nothing,
    /// The log has no event there.
    Missing,
}

/// No event ever leaves a log: the position is another log's, or the log was damaged, which needs manual
/// action.
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
        let due = self.parked.due(&run.name, AT_ONCE).await?;
        let mut tries = futures::stream::iter(due)
            .map(|parked| self.retry_key(run, parked))
            .buffer_unordered(self.concurrency);
        while let Some(tried) = tries.next().await {
            tried?;
        }
        Ok(())
    }

    /// Goes through what queues behind a key, until it is empty or stops again.
    async fn retry_key(&self, run: &Run, parked: Parked) -> Result<(), Halt> {
        loop {
            let key = &parked.key;
            let positions = self.parked.queued(&run.name, key, EVENTS_AT_ONCE).await?;
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
                        self.sender.alert_operator(
                            (&outcome, position),
                            key,
                            "what queues behind it waits",
                        );
                        (None, outcome)
                    }
                };
                let stops = outcome.stops();
                failpoint!("manager.retried", &run.name);
                self.write_try(run, &parked, (position, job, outcome)).await?;
                failpoint!("manager.dequeued", &run.name);
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
            // What queued behind its stream stays there, whatever its own key is.
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

    async fn write_try(
        &self,
        run: &Run,
        parked: &Parked,
        (position, job, outcome): (i64, Option<Job<S>>, Outcome),
    ) -> Result<(), Halt> {
        let mut tx = self.store.views().begin().await?;
        run.hold(&mut tx).await?;
        match (&outcome, job) {
            (Outcome::Newer, _) => return Err(Halt::Newer(parked.key.clone())),
            (Outcome::Done, job) => {
                if let Some(job) = job {
                    let mut deadlines = Changes::new();
                    let done = Done { job, outcome };
                    self.write(run, &mut tx, (&done, &mut deadlines)).await?;
                    Deadlines::change(&mut tx, self.sender.name(), &deadlines).await?;
                }
                // An operator may have dropped it a moment ago.
                let _was_there =
                    ParkedKeys::dequeue(&mut tx, &run.name, &parked.key, position).await?;
            }
            (Outcome::Queue | Outcome::Later | Outcome::Retry(_) | Outcome::Park(_), job) => {
                let stopped = (position, job.map(|job| job.event.recorded_at), &outcome);
                if !Self::stop_again(run, &mut tx, (parked, stopped)).await? {
                    // Dropped meanwhile: the key was released to continue at the next one.
                    return Ok(());
                }
            }
        }
        Ok(tx.commit().await?)
    }

    /// Writes down that a key stopped at an event of this position and time once more; `false` if that
    /// event waits no longer.
    async fn stop_again(
        run: &Run,
        tx: &mut Tx,
        (parked, (position, time, outcome)): (&Parked, (i64, Option<i64>, &Outcome)),
    ) -> Result<bool, Halt> {
        if !ParkedKeys::keep_queued(tx, &run.name, &parked.key, position).await? {
            return Ok(false);
        }
        let attempts = parked.attempts.saturating_add(1);
        let again = Parked {
            state: outcome.state().to_owned(),
            reason: outcome.reason().to_owned(),
            since_position: position,
            since_time: time.unwrap_or(parked.since_time),
            attempts,
            ..parked.clone()
        };
        ParkedKeys::park(tx, &run.name, &again, sender::retry_after(attempts)).await?;
        Ok(true)
    }

    /// Unparks a key, if nothing has queued behind it meanwhile.
    async fn unpark(&self, run: &Run, key: &str) -> Result<bool, Halt> {
        let mut parked_at = self.parked_at.lock().await;
        let mut tx = self.store.views().begin().await?;
        run.hold(&mut tx).await?;
        let free = ParkedKeys::unpark(&mut tx, &run.name, key).await?;
        tx.commit().await?;
        failpoint!("manager.let-go", &run.name);
        if free {
            parked_at.remove(key);
            self.report(run, &parked_at);
        }
        Ok(free)
    }
}
