//! Takes the steps of a manager's table, under ids derived from the cause, and applies the manager's remedy
//! for a refused one.

use super::deadline_payload::DeadlinePayload;
use super::job::Job;
use super::manager::{Manager, Moment, ProcessStep, Reaction, Reactions, Remedy};
use super::outcome::Outcome;
use super::port::{Cause, CommandContext, Handled, Port, PortError};
use crate::engine::backoff;
use crate::engine::feed::{Feed, Origin, Unreadable, decode};
use gdmarket_domain::MarketEvent;
use gdmarket_store::{Identity, LogLimit, RecordedEvent};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The namespace of the command ids of reactions. Changing it would repeat every reaction of existing logs.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0d_61c4_5a0e_4b0c_9d0a_3f6b_16a5_2e05);

/// The longest pause between two tries of one key.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Limits the log lines about damage, which a reaction finds again at each of its tries.
static DAMAGE: LogLimit = LogLimit::new(5, Duration::from_secs(10));

/// The pause of a key after its try number `attempt`.
pub(super) fn retry_after(attempt: i64) -> Duration {
    backoff::pause(u32::try_from(attempt).unwrap_or(u32::MAX), LONGEST_PAUSE)
}

/// A manager with its port, for the events of one log.
pub(super) struct Sender<S> {
    pub(super) manager: Arc<dyn Manager<Step = S>>,
    port: Arc<dyn Port<S>>,
    feed: Arc<dyn Feed>,
    parks_unknown: bool,
}

impl<S: ProcessStep> Sender<S> {
    pub(super) fn new(
        manager: Arc<dyn Manager<Step = S>>,
        port: Arc<dyn Port<S>>,
        feed: Arc<dyn Feed>,
        parks_unknown: bool,
    ) -> Self {
        Self { manager, port, feed, parks_unknown }
    }

    pub(super) fn name(&self) -> &'static str {
        self.manager.name()
    }

    /// The log of the events.
    pub(super) fn source(&self) -> Identity {
        self.feed.source()
    }

    pub(super) fn wants(&self, aggregate: &str) -> bool {
        self.manager.sources().contains(&aggregate)
            || self.parks_unknown && !MarketEvent::knows(aggregate)
    }

    /// The reactions to an event.
    pub(super) fn reactions(
        &self,
        event: &RecordedEvent,
    ) -> Result<Option<Reactions<S>>, Unreadable> {
        let decoded = decode(event.as_event_ref())?;
        Ok(self.manager.react(&decoded, Moment::of(event.recorded_at)))
    }

    /// Takes the steps of a job, unless one takes long.
    pub(super) async fn react(&self, job: &Job<S>) -> Outcome {
        let takes_long = |reaction: &Reaction<S>| match reaction {
            Reaction::Do(step) => step.takes_long(),
            Reaction::SetDeadline { .. } | Reaction::ClearDeadline { .. } => false,
        };
        if job.steps.iter().any(takes_long) { Outcome::Later } else { self.react_fully(job).await }
    }

    /// Takes the steps of a job, including those that take long.
    pub(super) async fn react_fully(&self, job: &Job<S>) -> Outcome {
        let outcome = match &job.unreadable {
            Some(why) => Outcome::Park(why.clone()),
            None => self.take_steps(job).await,
        };
        let next = "see what waits: `gdmarket parked show`";
        self.alert_operator(&outcome, job.event.position, &job.key, next);
        outcome
    }

    async fn take_steps(&self, job: &Job<S>) -> Outcome {
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

    pub(super) async fn send(&self, step: &S, id: Uuid, cause: &Cause) -> Outcome {
        let context = CommandContext { manager: self.name(), command_id: id, cause: cause.clone() };
        let refusal = match self.read(self.port.take(step, context.clone()).await) {
            Ok(outcome) => return outcome,
            Err(refusal) => refusal,
        };
        match self.manager.compensate(step, &refusal) {
            Remedy::Done => Outcome::Done,
            Remedy::Compensate { step, refused } => {
                let answer = self.port.take(&step, context).await;
                self.read(answer)
                    .unwrap_or_else(|refusal| Outcome::Park(format!("{refused}: {refusal}")))
            }
            Remedy::Park(reason) => Outcome::Park(reason),
        }
    }

    /// Reads the port's answer; the error is the code of a refusal.
    fn read(&self, answer: Result<Handled, PortError>) -> Result<Outcome, String> {
        match answer {
            Ok(Handled::Done) => Ok(Outcome::Done),
            Ok(Handled::Refused(code)) => Err(code),
            Err(PortError::Retry(reason)) => {
                tracing::warn!(manager = self.name(), reason, "a reaction is tried again");
                Ok(Outcome::Retry(reason))
            }
            // It isn't parked: it continues by itself once an operator has repaired the database.
            Err(PortError::Damaged(reason)) => {
                let next = "it is tried again by itself until the database is repaired";
                if let Some(left_out) = DAMAGE.admit("damage") {
                    let manager = self.name();
                    tracing::error!(manager, reason, left_out, next, "a reaction meets damage");
                }
                Ok(Outcome::Retry(reason))
            }
            Err(error @ PortError::Impossible(_)) => Ok(Outcome::Park(error.to_string())),
            Err(PortError::Newer) => Ok(Outcome::Newer),
        }
    }

    /// Alerts the operator if an outcome needs manual action; `next` says how the system continues until then.
    pub(super) fn alert_operator(&self, outcome: &Outcome, position: i64, key: &str, next: &str) {
        let Outcome::Park(reason) = outcome else { return };
        let manager = self.name();
        tracing::error!(manager, key, position, reason, next, "a reaction is parked");
        metrics::counter!("gdmarket_manager_parked_total", "manager" => manager).increment(1);
    }

    pub(super) fn cause(&self, event: &RecordedEvent) -> Cause {
        let origin = Origin::of(event);
        Cause {
            correlation_id: origin.correlation_id.unwrap_or_default(),
            source: self.source().to_string(),
            position: event.position,
            traceparent: origin.traceparent,
        }
    }

    /// The payload of a deadline that a job sets.
    pub(super) fn payload(&self, job: &Job<S>, data: &Value) -> String {
        let Cause { correlation_id, position, traceparent, .. } = self.cause(&job.event);
        let data = data.clone();
        serde_json::json!(DeadlinePayload { correlation_id, position, traceparent, data })
            .to_string()
    }

    /// The id of a reaction: the same for the same cause at every delivery.
    pub(super) fn command_id(&self, cause: &[&str], ordinal: usize) -> Uuid {
        reaction_id(self.source().log_id, self.name(), cause, ordinal)
    }
}

/// The id of the command that a manager of this log sends for a cause. It contains no positions, which may
/// change when a log is restored.
pub(crate) fn reaction_id(log_id: Uuid, manager: &str, cause: &[&str], ordinal: usize) -> Uuid {
    let mut name = log_id.as_bytes().to_vec();
    let ordinal = ordinal.to_string();
    for part in std::iter::once(manager).chain(cause.iter().copied()).chain([&*ordinal]) {
        name.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        name.extend(part.as_bytes());
    }
    Uuid::new_v5(&NAMESPACE, &name)
}
