//! The check whether process managers have done what follows from the events that they have passed: every
//! command that a reaction sends has an id derived from its event, and leaves a receipt unless it
//! changed nothing. A command without a receipt is decided again on what its stream has become: where
//! it would still change something, its event was skipped.

use crate::decoded::decode;
use crate::options::Options;
use crate::process_manager::{Manager, Moment, Reaction, Step};
use crate::reactor::reaction_id;
use crate::subscriptions;
use gdmarket_domain::{
    Alarm, Decider, DecodeError, Hold, Item, MarketCommand, Payment, Reservation, decode_event,
};
use gdmarket_store::{Check, Finding, RecordedEvent, StoreError, StreamId};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::mem::take;
use std::sync::Arc;
use uuid::Uuid;

/// Commands whose receipts are looked up at once.
const AT_ONCE: usize = 1_000;
/// Commands without a receipt that are decided again at most.
const MOST: usize = 10_000;

/// A command that a reaction should have sent.
struct Expected {
    id: Uuid,
    manager: &'static str,
    position: i64,
    command: MarketCommand,
}

/// A manager with how far it is.
struct Reached {
    manager: Arc<dyn Manager>,
    position: i64,
    set_aside: BTreeSet<i64>,
}

/// The check of all managers.
pub struct ReactionCheck {
    managers: Vec<Reached>,
    log_id: Uuid,
    waiting: Vec<Expected>,
    without_receipt: Vec<Expected>,
}

impl std::fmt::Debug for ReactionCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReactionCheck").finish_non_exhaustive()
    }
}

impl ReactionCheck {
    /// Starts with how far each manager is.
    pub async fn start(check: &mut Check) -> Result<Self, StoreError> {
        let mut managers = vec![];
        for manager in subscriptions::tables(&Options::default()) {
            let Some(position) = check.reached(manager.name()).await? else { continue };
            let set_aside = check.set_aside(manager.name()).await?;
            managers.push(Reached { manager, position, set_aside });
        }
        Ok(Self {
            managers,
            log_id: check.identity().log_id,
            waiting: vec![],
            without_receipt: vec![],
        })
    }

    /// Takes the next event of the log.
    pub async fn take(
        &mut self,
        check: &mut Check,
        event: &RecordedEvent,
    ) -> Result<(), StoreError> {
        let Ok(decoded) = decode(event.seen()) else { return Ok(()) };
        let moment = Moment::of(event.recorded_at);
        for Reached { manager, position, set_aside } in &self.managers {
            let is_due = event.position <= *position
                && manager.sources().contains(&event.stream.kind.as_ref())
                && !set_aside.contains(&event.position);
            if !is_due {
                continue;
            }
            let Some(reactions) = manager.react(&decoded, moment) else { continue };
            for (ordinal, reaction) in reactions.steps.into_iter().enumerate() {
                if let Reaction::Do(Step::Send(_, command)) = reaction {
                    let cause = [
                        event.stream.kind.as_ref(),
                        &event.stream.number.to_string(),
                        &event.sequence.to_string(),
                    ];
                    let manager = manager.name();
                    let id = reaction_id((self.log_id, manager), &cause, ordinal);
                    let position = event.position;
                    self.waiting.push(Expected { id, manager, position, command });
                }
            }
        }
        if self.waiting.len() >= AT_ONCE { self.look_up(check).await } else { Ok(()) }
    }

    async fn look_up(&mut self, check: &mut Check) -> Result<(), StoreError> {
        let waiting = take(&mut self.waiting);
        let ids: Vec<Uuid> = waiting.iter().map(|expected| expected.id).collect();
        let missing = check.without_receipt(&ids).await?;
        let without = waiting.into_iter().filter(|expected| missing.contains(&expected.id));
        self.without_receipt.extend(without);
        self.without_receipt.truncate(MOST);
        Ok(())
    }

    /// Decides what has no receipt, now that all events were seen.
    pub async fn finish(mut self, check: &mut Check) -> Result<Vec<Finding>, StoreError> {
        self.look_up(check).await?;
        let mut findings = vec![];
        for Expected { manager, position, command, .. } in self.without_receipt {
            if would_write(check, &command).await? {
                let what = format!(
                    "position {position}: {manager} has passed this event without what follows from it"
                );
                findings.push(Finding::fault("reaction-missing", what));
            }
        }
        Ok(findings)
    }
}

/// Whether a command would change its stream as it is now.
async fn would_write(check: &mut Check, command: &MarketCommand) -> Result<bool, StoreError> {
    match command {
        MarketCommand::Item(no, command) => decides::<Item>(check, no.get(), command).await,
        MarketCommand::Hold(no, command) => decides::<Hold>(check, no.get(), command).await,
        MarketCommand::Reservation(no, command) => {
            decides::<Reservation>(check, no.get(), command).await
        }
        MarketCommand::Payment(no, command) => decides::<Payment>(check, no.get(), command).await,
        MarketCommand::Alarm(no, command) => decides::<Alarm>(check, no.get(), command).await,
    }
}

async fn decides<A>(
    check: &mut Check,
    number: i64,
    command: &A::Command,
) -> Result<bool, StoreError>
where
    A: Decider,
    A::Event: DeserializeOwned,
{
    let stream = StreamId::new(A::TYPE, number);
    let mut state = A::default();
    let mut after = 0;
    loop {
        let events = check.stream(&stream, after).await?;
        let Some(last) = events.last() else { break };
        after = last.sequence;
        for event in &events {
            let RecordedEvent { event_type, event_version, payload, .. } = event;
            let decoded: Result<A::Event, DecodeError> =
                decode_event(event_type, event_version, payload);
            match decoded {
                Ok(event) => state.apply(event),
                // It is named elsewhere; nobody can say what would be decided.
                Err(_) => return Ok(false),
            }
        }
    }
    Ok(state.decide(command).is_ok_and(|events| !events.is_empty()))
}
