//! The check whether process managers have done the reactions to the events before their checkpoints. The
//! command of a reaction has an id derived from its event, and leaves a receipt unless it changed nothing; a
//! command without a receipt is decided again on the current state of its stream. A refund is done once
//! its payment is cancelled, and a deadline waits in the database until its steps are done.
//!
//! Commands are looked up batch by batch, so that memory stays the same whatever the log's length.

mod deadlines;
mod reaction_state;

use crate::engine::feed::decode;
use crate::engine::process_manager::{Moment, reaction_id};
use crate::processes::refusals::{Code, Meaning, meaning};
use crate::processes::step::{AnyManager, Reaction, Step};
use chrono::{DateTime, Utc};
use deadlines::SetDeadlines;
use gdmarket_store::{Check, Finding, RecordedEvent, StoreError};
use reaction_state::{ReactionState, States};
use std::collections::BTreeSet;
use std::mem::take;
use std::sync::Arc;
use uuid::Uuid;

/// Reactions per query.
const AT_ONCE: usize = if cfg!(test) { 2 } else { 1_000 };

/// A reaction that should have been done.
struct Expected {
    id: Uuid,
    manager: &'static str,
    position: i64,
    step: Step,
}

/// A manager with its checkpoint.
struct ManagerPosition {
    manager: Arc<AnyManager>,
    position: i64,
    /// The positions of events that it has queued, or that an operator has dropped.
    skipped: BTreeSet<i64>,
    deadlines: SetDeadlines,
}

impl ManagerPosition {
    fn has_passed(&self, event: &RecordedEvent) -> bool {
        event.position <= self.position
            && self.manager.sources().contains(&event.stream.kind.as_ref())
            && !self.skipped.contains(&event.position)
    }
}

/// The check of all managers.
pub struct ReactionCheck {
    managers: Vec<ManagerPosition>,
    log_id: Uuid,
    now: DateTime<Utc>,
    expected: Vec<Expected>,
}

impl std::fmt::Debug for ReactionCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReactionCheck").finish_non_exhaustive()
    }
}

impl ReactionCheck {
    /// Starts with the checkpoint of each of these managers; `now` is the current time, in microseconds.
    pub(crate) async fn with_managers(
        all: Vec<Arc<AnyManager>>,
        check: &mut Check,
        now: i64,
    ) -> Result<Self, StoreError> {
        let mut managers = vec![];
        for manager in all {
            let Some(position) = check.reached(manager.name()).await? else { continue };
            let skipped = check.skipped(manager.name()).await?;
            let deadlines = SetDeadlines::default();
            managers.push(ManagerPosition { manager, position, skipped, deadlines });
        }
        Ok(Self {
            managers,
            log_id: check.identity().log_id,
            now: DateTime::from_timestamp_micros(now).unwrap_or_default(),
            expected: vec![],
        })
    }

    /// Takes the next event of the log; returns the missing reactions that were found.
    pub async fn take(
        &mut self,
        check: &mut Check,
        event: &RecordedEvent,
    ) -> Result<Vec<Finding>, StoreError> {
        self.note(event);
        if self.expected.len() >= AT_ONCE { self.look_up(check).await } else { Ok(vec![]) }
    }

    /// Notes the reactions to an event.
    fn note(&mut self, event: &RecordedEvent) {
        // An event that can't be read is reported by another check.
        let Ok(decoded) = decode(event.as_event_ref()) else { return };
        let moment = Moment::of(event.recorded_at);
        let position = event.position;
        for reached in self.managers.iter_mut().filter(|reached| reached.has_passed(event)) {
            let Some(reactions) = reached.manager.react(&decoded, moment) else { continue };
            let manager = reached.manager.name();
            for (ordinal, reaction) in reactions.steps.into_iter().enumerate() {
                match reaction {
                    Reaction::Do(step) => {
                        let id = id_of(self.log_id, manager, event, ordinal);
                        self.expected.push(Expected { id, manager, position, step });
                    }
                    Reaction::SetDeadline { key, due_at, data } => {
                        reached.deadlines.set(key, due_at, data, position);
                    }
                    Reaction::ClearDeadline { key } => reached.deadlines.clear(&key),
                }
            }
        }
    }

    /// Looks the noted reactions up; returns the missing ones.
    async fn look_up(&mut self, check: &mut Check) -> Result<Vec<Finding>, StoreError> {
        let expected = take(&mut self.expected);
        let ids: Vec<Uuid> = expected.iter().map(|expected| expected.id).collect();
        let outcomes = check.outcomes(&ids).await?;
        let mut states = States::default();
        let mut findings = vec![];
        for Expected { id, manager, position, step } in expected {
            let state = match (&step, outcomes.get(&id)) {
                (Step::Send(..), Some(None)) => ReactionState::Done,
                (Step::Send(rule, _), Some(Some(code))) => {
                    let is_done = meaning(*rule, Code::parse(code)) == Meaning::Done;
                    if is_done { ReactionState::Done } else { ReactionState::Open }
                }
                _ => states.of_step(check, &step).await?,
            };
            if state != ReactionState::Done {
                let what = reaction_state::described(&step);
                let detail = format!(
                    "position {position}: {manager} has passed this event without its \
                     reaction: {what}"
                );
                findings.push(Finding::fault("reaction-missing", detail));
            }
        }
        Ok(findings)
    }

    /// Returns the rest of what is missing, after the last event.
    pub async fn finish(mut self, check: &mut Check) -> Result<Vec<Finding>, StoreError> {
        let mut findings = self.look_up(check).await?;
        for ManagerPosition { manager, deadlines, .. } in &self.managers {
            findings.extend(deadlines.missing(check, &**manager, self.now).await?);
        }
        Ok(findings)
    }
}

/// The id of the command that a manager sends for an event.
fn id_of(log_id: Uuid, manager: &str, event: &RecordedEvent, ordinal: usize) -> Uuid {
    let (number, sequence) = (event.stream.number.to_string(), event.sequence.to_string());
    reaction_id(log_id, manager, &[event.stream.kind.as_ref(), &number, &sequence], ordinal)
}
