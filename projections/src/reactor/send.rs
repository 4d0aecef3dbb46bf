//! Sends what a manager's table says, under ids derived from the cause, and reads the answers by the
//! table of refusals.

use super::outcome::Outcome;
use super::plan::Job;
use crate::backoff;
use crate::command_port::{Cause, CommandPort, Errand, Handled, Intent, PortError};
use crate::decoded::{Origin, Unreadable, decode};
use crate::process_manager::{Due, Manager, Moment, Reaction, Reactions, Step};
use crate::refusal::{Code, Verdict, verdict};
use chrono::DateTime;
use gdmarket_domain::{HoldCommand, ItemCommand, MarketCommand};
use gdmarket_store::{Deadline, Identity, RecordedEvent};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The namespace of the command ids of reactions. A change repeats every reaction of old logs.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0d_61c4_5a0e_4b0c_9d0a_3f6b_16a5_2e05);

/// The longest pause between two tries of one key.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// When a key is tried again after its try number `attempt`.
pub(super) fn retry_after(attempt: i64) -> Duration {
    backoff::pause(u32::try_from(attempt).unwrap_or(u32::MAX), LONGEST_PAUSE)
}

/// A manager with what it sends through.
pub(super) struct Sender {
    manager: Arc<dyn Manager>,
    port: Arc<dyn CommandPort>,
    source: Identity,
}

/// What a deadline's row remembers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    correlation_id: Uuid,
    position: i64,
    traceparent: Option<String>,
    data: Value,
}

impl Sender {
    pub(super) fn new(
        manager: Arc<dyn Manager>,
        port: Arc<dyn CommandPort>,
        source: Identity,
    ) -> Self {
        Self { manager, port, source }
    }

    pub(super) fn name(&self) -> &'static str {
        self.manager.name()
    }

    pub(super) fn wants(&self, aggregate: &str) -> bool {
        self.manager.sources().contains(&aggregate)
    }

    /// What follows from an event.
    pub(super) fn reactions(&self, event: &RecordedEvent) -> Result<Option<Reactions>, Unreadable> {
        let decoded = decode(event.seen())?;
        Ok(self.manager.react(&decoded, self.moment(event.recorded_at)))
    }

    /// Does what follows from an event, unless it takes long.
    pub(super) async fn react(&self, job: &Job) -> Outcome {
        if let Some(why) = &job.unreadable {
            return self.park(why.clone(), &job.event.stream.to_string());
        }
        let takes_long = |reaction: &Reaction| match reaction {
            Reaction::Do(step) => step.takes_long(),
            Reaction::SetDeadline { .. } | Reaction::ClearDeadline { .. } => false,
        };
        if job.steps.iter().any(takes_long) { Outcome::Later } else { self.react_fully(job).await }
    }

    /// Does what follows from an event, however long it takes.
    pub(super) async fn react_fully(&self, job: &Job) -> Outcome {
        if let Some(why) = &job.unreadable {
            return self.park(why.clone(), &job.event.stream.to_string());
        }
        let cause = self.cause(&job.event);
        let event = &job.event;
        let (kind, number, sequence) = (&event.stream.kind, event.stream.number, event.sequence);
        for (ordinal, reaction) in job.steps.iter().enumerate() {
            if let Reaction::Do(step) = reaction {
                let id =
                    self.command_id(&[kind, &number.to_string(), &sequence.to_string()], ordinal);
                let outcome = self.send(step, id, &cause).await;
                if outcome != Outcome::Done {
                    return outcome;
                }
            }
        }
        Outcome::Done
    }

    /// Does what follows from a deadline; its manager's word on when it is due again comes with it,
    /// unless the row can't be read.
    pub(super) async fn fire(&self, deadline: &Deadline) -> (Outcome, Option<Due>) {
        let read = serde_json::from_str::<Payload>(&deadline.payload).ok().and_then(|payload| {
            let moment = self.moment(deadline.due_at);
            Some((self.manager.due(&deadline.key, &payload.data, moment)?, payload))
        });
        let Some((due, payload)) = read else {
            let why = "the deadline's row can't be read".to_owned();
            return (self.park(why, &deadline.key), None);
        };
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
                return (outcome, Some(due));
            }
        }
        (Outcome::Done, Some(due))
    }

    /// What the row of a deadline remembers: its cause, and what its manager must know.
    pub(super) fn payload(&self, job: &Job, data: &Value) -> String {
        let Cause { correlation_id, position, traceparent, .. } = self.cause(&job.event);
        serde_json::json!(Payload { correlation_id, position, traceparent, data: data.clone() })
            .to_string()
    }

    /// The row of a deadline that is due again, with the same cause.
    pub(super) fn again(deadline: &Deadline, due_at: i64, data: Option<&Value>) -> Deadline {
        let payload = data.and_then(|data| {
            let mut payload: Payload = serde_json::from_str(&deadline.payload).ok()?;
            payload.data = data.clone();
            serde_json::to_string(&payload).ok()
        });
        let payload = payload.unwrap_or_else(|| deadline.payload.clone());
        Deadline { key: deadline.key.clone(), due_at, payload }
    }

    /// Microseconds of a moment from now.
    pub(super) fn micros_after(&self, pause: Duration) -> i64 {
        (self.port.now() + pause).timestamp_micros()
    }

    async fn send(&self, step: &Step, id: Uuid, cause: &Cause) -> Outcome {
        let errand = Errand { manager: self.name(), command_id: id, cause: cause.clone() };
        let answer = match step {
            Step::Send(_, command) => {
                let intent = Intent { command: command.clone(), errand: errand.clone() };
                self.port.execute(intent).await
            }
            Step::Refund(number) => self.port.refund_payment(*number, errand.clone()).await,
            Step::Settle(number) => self.port.settle_payment(*number, errand.clone()).await,
        };
        let refusal = match self.read(answer) {
            Ok(outcome) => return outcome,
            Err(refusal) => refusal,
        };
        match verdict(step.rule(), Code::parse(&refusal)) {
            Verdict::Done => Outcome::Done,
            Verdict::Compensate => self.compensate(step, refusal, errand).await,
            Verdict::Park => self.park(format!("{:?} was refused: {refusal}", step.rule()), "step"),
        }
    }

    /// Writes a refused hold down, under the id of the command that was refused: a request has one of
    /// the two answers for ever.
    async fn compensate(&self, step: &Step, reason: String, errand: Errand) -> Outcome {
        let Step::Send(_, MarketCommand::Item(item_no, ItemCommand::Hold { reservation_no, .. })) =
            step
        else {
            return self.park(format!("nothing makes up for the refusal {reason}"), "step");
        };
        let (reservation_no, item_no) = (*reservation_no, *item_no);
        let refuse = HoldCommand::Refuse { reservation_no, item_no, reason };
        let intent = Intent { command: MarketCommand::Hold(reservation_no, refuse), errand };
        let answer = self.port.execute(intent).await;
        self.read(answer).unwrap_or_else(|refusal| {
            self.park(format!("a refused hold was refused: {refusal}"), "step")
        })
    }

    /// The code of a refusal is the error.
    fn read(&self, answer: Result<Handled, PortError>) -> Result<Outcome, String> {
        match answer {
            Ok(Handled::Done | Handled::NoOp) => Ok(Outcome::Done),
            Ok(Handled::Refused(code)) => Err(code),
            Err(PortError::Retry(reason)) => {
                tracing::warn!(manager = self.name(), reason, "a reaction is tried again");
                Ok(Outcome::Retry(reason))
            }
            Err(PortError::Newer) => Ok(Outcome::Newer),
        }
    }

    fn park(&self, reason: String, what: &str) -> Outcome {
        tracing::error!(manager = self.name(), what, reason, "a key is parked: a person must look");
        metrics::counter!("gdmarket_manager_parked_total", "manager" => self.name()).increment(1);
        Outcome::Park(reason)
    }

    fn moment(&self, recorded_at: i64) -> Moment {
        let now = self.port.now();
        Moment { recorded_at: DateTime::from_timestamp_micros(recorded_at).unwrap_or(now), now }
    }

    fn cause(&self, event: &RecordedEvent) -> Cause {
        let origin = Origin::of(event);
        Cause {
            correlation_id: origin.correlation_id.unwrap_or_default(),
            source: self.source_name(),
            position: event.position,
            traceparent: origin.traceparent,
        }
    }

    fn source_name(&self) -> String {
        format!("{}/{}", self.source.log_id, self.source.epoch)
    }

    /// The id of the same reaction to the same cause, whatever happens in between. Positions aren't in
    /// it: they may change when a log is restored.
    fn command_id(&self, cause: &[&str], ordinal: usize) -> Uuid {
        let mut name = self.source.log_id.as_bytes().to_vec();
        let ordinal = ordinal.to_string();
        for part in std::iter::once(self.name()).chain(cause.iter().copied()).chain([&*ordinal]) {
            name.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            name.extend(part.as_bytes());
        }
        Uuid::new_v5(&NAMESPACE, &name)
    }
}
