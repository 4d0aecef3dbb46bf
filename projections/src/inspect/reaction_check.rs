//! The check whether process managers have done what follows from the events that they have passed. What a
//! reaction sends has an id derived from its event, and leaves a receipt unless it changed nothing; a
//! command without a receipt is decided again on what its stream has become. A refund is done once its
//! payment says so, and a deadline waits in the database until what it leads to is done.
//!
//! Commands are looked up batch by batch, so that memory stays the same whatever the log's length.

mod deadlines;
mod standing;

use crate::engine::feed::decode;
use crate::engine::process_manager::{Moment, reaction_id};
use crate::processes::refusals::{Code, Meaning, meaning};
use crate::processes::step::{AnyManager, Reaction, Step};
use chrono::{DateTime, Utc};
use deadlines::SetDeadlines;
use gdmarket_store::{Check, Finding, RecordedEvent, StoreError};
use standing::{Standing, States};
use std::collections::BTreeSet;
use std::mem::take;
use std::sync::Arc;
use uuid::Uuid;

/// Reactions that are looked up at once.
const AT_ONCE: usize = if cfg!(test) { 2 } else { 1_000 };

/// A reaction that should have been done.
struct Expected {
    id: Uuid,
    manager: &'static str,
    position: i64,
    step: Step,
}

/// A manager with how far it is.
struct ManagerPosition {
    manager: Arc<AnyManager>,
    position: i64,
    /// What it has queued or an operator has dropped, by position.
    set_aside: BTreeSet<i64>,
    deadlines: SetDeadlines,
}

impl ManagerPosition {
    fn has_passed(&self, event: &RecordedEvent) -> bool {
        event.position <= self.position
            && self.manager.sources().contains(&event.stream.kind.as_ref())
            && !self.set_aside.contains(&event.position)
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
            let set_aside = check.set_aside(manager.name()).await?;
            let deadlines = SetDeadlines::default();
            managers.push(ManagerPosition { manager, position, set_aside, deadlines });
        }
        Ok(Self {
            managers,
            log_id: check.identity().log_id,
            now: DateTime::from_timestamp_micros(now).unwrap_or_default(),
            expected: vec![],
        })
    }

    /// Takes the next event of the log; what was found missing so far.
    pub async fn take(
        &mut self,
        check: &mut Check,
        event: &RecordedEvent,
    ) -> Result<Vec<Finding>, StoreError> {
        self.note(event);
        if self.expected.len() >= AT_ONCE { self.look_up(check).await } else { Ok(vec![]) }
    }

    /// Notes what follows from an event.
    fn note(&mut self, event: &RecordedEvent) {
        // One that can't be read is named elsewhere.
        let Ok(decoded) = decode(event.seen()) else { return };
        let moment = Moment::of(event.recorded_at);
        let position = event.position;
        for reached in self.managers.iter_mut().filter(|reached| reached.has_passed(event)) {
            let Some(reactions) = reached.manager.react(&decoded, moment) else { continue };
            let manager = reached.manager.name();
            for (ordinal, reaction) in reactions.steps.into_iter().enumerate() {
                match reaction {
                    Reaction::Do(step) => {
                        let id = id_of((self.log_id, manager), event, ordinal);
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

    /// Looks the noted reactions up; what is missing of them.
    async fn look_up(&mut self, check: &mut Check) -> Result<Vec<Finding>, StoreError> {
        let expected = take(&mut self.expected);
        let ids: Vec<Uuid> = expected.iter().map(|expected| expected.id).collect();
        let outcomes = check.outcomes(&ids).await?;
        let mut states = States::default();
        let mut findings = vec![];
        for Expected { id, manager, position, step } in expected {
            let standing = match (&step, outcomes.get(&id)) {
                (Step::Send(..), Some(None)) => Standing::Done,
                (Step::Send(rule, _), Some(Some(code))) => {
                    let is_done = meaning(*rule, Code::parse(code)) == Meaning::Done;
                    if is_done { Standing::Done } else { Standing::Open }
                }
                _ => states.standing(check, &step).await?,
            };
            if standing != Standing::Done {
                let what = standing::described(&step);
                let detail = format!(
                    "position {position}: {manager} has passed this event without what follows \
                     from it: {what}"
                );
                findings.push(Finding::fault("reaction-missing", detail));
            }
        }
        Ok(findings)
    }

    /// What is missing, now that all events were seen.
    pub async fn finish(mut self, check: &mut Check) -> Result<Vec<Finding>, StoreError> {
        let mut findings = self.look_up(check).await?;
        for ManagerPosition { manager, deadlines, .. } in &self.managers {
            findings.extend(deadlines.missing(check, &**manager, self.now).await?);
        }
        Ok(findings)
    }
}

/// The id of what a manager sends because of an event.
fn id_of(sender: (Uuid, &str), event: &RecordedEvent, ordinal: usize) -> Uuid {
    let (number, sequence) = (event.stream.number.to_string(), event.sequence.to_string());
    reaction_id(sender, &[event.stream.kind.as_ref(), &number, &sequence], ordinal)
}
