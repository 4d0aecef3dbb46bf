//! What a process manager does when a deadline is due.

use super::Reactor;
use super::beside::AT_ONCE;
use super::outcome::Outcome;
use super::plan::Job;
use super::send::Sender;
use crate::command_port::Cause;
use crate::process_manager::{Due, Moment};
use crate::subscription::{Halt, Run};
use futures::StreamExt;
use gdmarket_store::{Deadline, Deadlines, Postponed, StoreError, Tried, failpoint};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::PoisonError;
use std::time::Duration;
use uuid::Uuid;

/// When a deadline is tried again whose reaction couldn't be done.
const POSTPONED: Duration = Duration::from_secs(5);

/// When one is tried again that was thought impossible: a person has read the log by then.
const IMPOSSIBLE: Duration = Duration::from_mins(10);

/// What a deadline's row remembers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    correlation_id: Uuid,
    position: i64,
    traceparent: Option<String>,
    data: Value,
}

impl Reactor {
    pub(super) async fn fire(&self, run: &Run) -> Result<(), Halt> {
        let due = self.deadlines.due(self.sender.name(), AT_ONCE).await?;
        let is_any_due = !due.is_empty();
        let mut fired = futures::stream::iter(due)
            .map(|deadline| self.fire_one(run, deadline))
            .buffer_unordered(self.concurrency);
        while let Some(fired) = fired.next().await {
            fired?;
        }
        // What was blocked may have been forgotten, or given up by an operator.
        if (is_any_due || self.blocked().count > 0) && self.look_for_blocked().await? {
            let stuck = self.stuck.lock().await;
            self.report(run, &stuck);
        }
        Ok(())
    }

    async fn fire_one(&self, run: &Run, deadline: Deadline) -> Result<(), Halt> {
        let (outcome, due) = self.sender.fire(&deadline).await;
        failpoint!("manager.fired", &run.name);
        if outcome == Outcome::Newer {
            return Err(Halt::Newer(deadline.key));
        }
        let postponed = postponed(&deadline, outcome, due);
        let manager = self.sender.name();
        let mut tx = self.store.views().begin().await?;
        run.hold(&mut tx).await?;
        // Set anew or cleared meanwhile: then that stands.
        match &postponed {
            Some(postponed) => Deadlines::postpone(&mut tx, manager, &deadline, postponed).await?,
            None => drop(Deadlines::fired(&mut tx, manager, &deadline).await?),
        }
        tx.commit().await?;
        failpoint!("manager.noted", &run.name);
        Ok(())
    }

    /// Looks how many deadlines are blocked; whether that has changed.
    pub(super) async fn look_for_blocked(&self) -> Result<bool, Halt> {
        let blocked = BlockedDeadlines::of(&self.deadlines, self.sender.name()).await?;
        let mut known = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::replace(&mut *known, blocked) != blocked)
    }
}

/// How many deadlines of a manager are blocked, and the lowest position of what set them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BlockedDeadlines {
    pub(crate) count: usize,
    pub(crate) first: Option<i64>,
}

impl BlockedDeadlines {
    pub(crate) async fn of(deadlines: &Deadlines, manager: &str) -> Result<Self, StoreError> {
        let all = deadlines.blocked(Some(manager)).await?;
        let first = all.iter().map(|blocked| cause_position(&blocked.payload)).min();
        Ok(Self { count: all.len(), first })
    }
}

/// Where the event is that set a deadline; 0 if its row can't be read.
pub(crate) fn cause_position(payload: &str) -> i64 {
    serde_json::from_str::<Payload>(payload).map_or(0, |payload| payload.position)
}

/// How a deadline that fired is due again; `None` if it is done with. No deadline is lost for a fault.
fn postponed(deadline: &Deadline, outcome: Outcome, due: Option<Due>) -> Option<Postponed> {
    let same = || deadline.payload.clone();
    let (pause, payload, tried) = match (outcome, due.and_then(|due| due.again)) {
        (Outcome::Retry(_), _) => (POSTPONED, same(), Tried::NotNow),
        (Outcome::Done, None) => return None,
        (Outcome::Done, Some((pause, data))) => {
            (pause, with_data(&deadline.payload, &data).unwrap_or_else(same), Tried::Done)
        }
        (Outcome::Park(problem), _) => (IMPOSSIBLE, same(), Tried::Refused(problem)),
        (Outcome::Later | Outcome::Queue | Outcome::Newer, _) => {
            (IMPOSSIBLE, same(), Tried::NotNow)
        }
    };
    Some(Postponed { pause, payload, tried })
}

/// The row of a deadline that is due again, with the same cause.
fn with_data(payload: &str, data: &Value) -> Option<String> {
    let mut payload: Payload = serde_json::from_str(payload).ok()?;
    payload.data = data.clone();
    serde_json::to_string(&payload).ok()
}

impl Sender {
    /// Does what follows from a deadline; its manager's word on when it is due again comes with it,
    /// unless the row can't be read.
    async fn fire(&self, deadline: &Deadline) -> (Outcome, Option<Due>) {
        let read = serde_json::from_str::<Payload>(&deadline.payload).ok().and_then(|payload| {
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
        self.call_for_help(
            (&outcome, position),
            &deadline.key,
            "the deadline is tried again by itself",
        );
        (outcome, due)
    }

    async fn take_due_steps(&self, deadline: &Deadline, due: &Due, payload: Payload) -> Outcome {
        let cause = Cause {
            correlation_id: payload.correlation_id,
            source: self.source_name(),
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

    /// What the row of a deadline remembers: its cause, and what its manager must know.
    pub(super) fn payload(&self, job: &Job, data: &Value) -> String {
        let Cause { correlation_id, position, traceparent, .. } = self.cause(&job.event);
        serde_json::json!(Payload { correlation_id, position, traceparent, data: data.clone() })
            .to_string()
    }
}
