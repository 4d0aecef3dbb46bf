//! What a process manager does when a deadline is due.

use super::Reactor;
use super::beside::AT_ONCE;
use super::outcome::Outcome;
use super::plan::Job;
use super::send::Sender;
use crate::command_port::Cause;
use crate::process_manager::Due;
use crate::subscription::{Halt, Run};
use futures::StreamExt;
use gdmarket_store::{Changes, Deadline, Deadlines, failpoint};
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
        let mut fired = futures::stream::iter(due)
            .map(|deadline| self.fire_one(run, deadline))
            .buffer_unordered(self.concurrency);
        while let Some(fired) = fired.next().await {
            fired?;
        }
        Ok(())
    }

    async fn fire_one(&self, run: &Run, deadline: Deadline) -> Result<(), Halt> {
        let (outcome, due) = self.sender.fire(&deadline).await;
        failpoint!("manager.fired", &run.name);
        let again = match (outcome, due.and_then(|due| due.again)) {
            (Outcome::Newer, _) => return Err(Halt::Newer(deadline.key)),
            (Outcome::Retry(_), _) => {
                Some(Sender::again(&deadline, self.sender.micros_after(POSTPONED), None))
            }
            (_, Some((due_at, data))) => {
                Some(Sender::again(&deadline, due_at.timestamp_micros(), Some(&data)))
            }
            // A deadline is never lost for a fault.
            (Outcome::Park(_) | Outcome::Later | Outcome::Queue, None) => {
                Some(Sender::again(&deadline, self.sender.micros_after(IMPOSSIBLE), None))
            }
            (Outcome::Done, None) => None,
        };
        let mut tx = self.store.views().begin().await?;
        run.hold(&mut tx).await?;
        // Set anew or cleared meanwhile: then that stands.
        let was_there = Deadlines::fired(&mut tx, self.sender.name(), &deadline).await?;
        if let Some(again) = again.filter(|_| was_there) {
            let changes = Changes::from([(again.key.clone(), Some(again))]);
            Deadlines::change(&mut tx, self.sender.name(), &changes).await?;
        }
        tx.commit().await?;
        failpoint!("manager.noted", &run.name);
        Ok(())
    }
}

impl Sender {
    /// Does what follows from a deadline; its manager's word on when it is due again comes with it,
    /// unless the row can't be read.
    async fn fire(&self, deadline: &Deadline) -> (Outcome, Option<Due>) {
        let read = serde_json::from_str::<Payload>(&deadline.payload).ok().and_then(|payload| {
            let moment = self.moment(deadline.due_at);
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

    /// The row of a deadline that is due again, with the same cause.
    fn again(deadline: &Deadline, due_at: i64, data: Option<&Value>) -> Deadline {
        let payload = data.and_then(|data| {
            let mut payload: Payload = serde_json::from_str(&deadline.payload).ok()?;
            payload.data = data.clone();
            serde_json::to_string(&payload).ok()
        });
        let payload = payload.unwrap_or_else(|| deadline.payload.clone());
        Deadline { key: deadline.key.clone(), due_at, payload }
    }

    /// Microseconds of a moment from now.
    fn micros_after(&self, pause: Duration) -> i64 {
        (self.port.now() + pause).timestamp_micros()
    }
}
