//! Firing the deadlines of a process manager.

use super::deadline_payload::{DeadlinePayload, blocked_deadlines};
use super::manager::{Due, Moment, ProcessStep};
use super::outcome::Outcome;
use super::port::Cause;
use super::reactor::{AT_ONCE, Reactor};
use super::sender::Sender;
use crate::engine::subscription::{Halt, Run};
use futures::StreamExt;
use gdmarket_store::{Deadline, DeadlineOutcome, Deadlines, Postponed, failpoint};
use std::sync::PoisonError;
use std::time::Duration;

/// The pause after a reaction that failed for now.
const POSTPONED: Duration = Duration::from_secs(5);

/// The pause after a reaction that was refused: an operator has read the log by then.
const IMPOSSIBLE: Duration = Duration::from_mins(10);

impl<S: ProcessStep> Reactor<S> {
    pub(super) async fn fire(&self, run: &Run) -> Result<(), Halt> {
        let due = self.deadlines.due(run.name(), AT_ONCE).await?;
        let is_any_due = !due.is_empty();
        let mut fired = futures::stream::iter(due)
            .map(|deadline| self.fire_one(run, deadline))
            .buffer_unordered(self.concurrency);
        while let Some(fired) = fired.next().await {
            fired?;
        }
        // A blocked deadline may have been cleared, or dropped by an operator.
        if (is_any_due || self.blocked_now().count > 0) && self.refresh_blocked().await? {
            let parked_at = self.parked_at.lock().await;
            self.report(run, &parked_at);
        }
        Ok(())
    }

    async fn fire_one(&self, run: &Run, deadline: Deadline) -> Result<(), Halt> {
        let (outcome, due) = self.sender.fire(&deadline).await;
        failpoint!("manager.fired", run.name());
        if outcome == Outcome::Newer {
            return Err(Halt::Newer(deadline.key));
        }
        let postponed = postponed(&deadline, outcome, due);
        let manager = run.name();
        let mut tx = self.store.views().begin().await?;
        run.hold(&mut tx).await?;
        // A deadline that was set again or cleared meanwhile is left as it is.
        match &postponed {
            Some(postponed) => Deadlines::postpone(&mut tx, manager, &deadline, postponed).await?,
            None => drop(Deadlines::fired(&mut tx, manager, &deadline).await?),
        }
        tx.commit().await?;
        failpoint!("manager.noted", run.name());
        Ok(())
    }

    /// Reads the number of blocked deadlines; returns whether it has changed.
    pub(super) async fn refresh_blocked(&self) -> Result<bool, Halt> {
        let blocked = blocked_deadlines(&self.deadlines, &self.subscription).await?;
        let mut known = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::replace(&mut *known, blocked) != blocked)
    }
}

/// When a deadline that fired is due again; `None` if it is done. A fault never loses a deadline.
fn postponed<S>(deadline: &Deadline, outcome: Outcome, due: Option<Due<S>>) -> Option<Postponed> {
    let same = || deadline.payload.clone();
    let (pause, payload, tried) = match (outcome, due.and_then(|due| due.again)) {
        (Outcome::Retry(_), _) => (POSTPONED, same(), DeadlineOutcome::NotNow),
        (Outcome::Done, None) => return None,
        (Outcome::Done, Some((pause, data))) => (
            pause,
            DeadlinePayload::with_data(&deadline.payload, &data).unwrap_or_else(same),
            DeadlineOutcome::Done,
        ),
        (Outcome::Park(problem), _) => (IMPOSSIBLE, same(), DeadlineOutcome::Refused(problem)),
        (Outcome::Later | Outcome::Queue | Outcome::Newer, _) => {
            (IMPOSSIBLE, same(), DeadlineOutcome::NotNow)
        }
    };
    Some(Postponed { pause, payload, tried })
}

impl<S: ProcessStep> Sender<S> {
    /// Takes the steps of a deadline; returns the outcome with the manager's answer, which says when it is
    /// due again. There is no answer if the row can't be read.
    async fn fire(&self, deadline: &Deadline) -> (Outcome, Option<Due<S>>) {
        let read =
            serde_json::from_str::<DeadlinePayload>(&deadline.payload).ok().and_then(|payload| {
                let moment = Moment::of(deadline.due_at);
                Some((self.manager.due(&deadline.key, &payload.data, moment)?, payload))
            });
        let mut position = 0;
        let (outcome, due) = match read {
            None => (Outcome::Park("the deadline's row can't be read".to_owned()), None),
            Some((due, payload)) => {
                position = payload.position;
                (self.take_due_steps(deadline, &due, payload).await, Some(due))
            }
        };
        let next = "the deadline is tried again by itself";
        self.alert_operator(&outcome, position, &deadline.key, next);
        (outcome, due)
    }

    async fn take_due_steps(
        &self,
        deadline: &Deadline,
        due: &Due<S>,
        payload: DeadlinePayload,
    ) -> Outcome {
        let cause = Cause {
            correlation_id: payload.correlation_id,
            source: self.source().to_string(),
            position: payload.position,
            traceparent: payload.traceparent,
        };
        for (ordinal, step) in due.steps.iter().enumerate() {
            let due_at = deadline.due_at.to_string();
            let id = self.command_id(&["deadline", &deadline.key, &due_at], ordinal);
            let outcome = self.send(step, id, &cause).await;
            if outcome != Outcome::Done {
                return outcome;
            }
        }
        Outcome::Done
    }
}
