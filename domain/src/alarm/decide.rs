//! The decisions of an item's alarm. Raising is idempotent: the same registration may raise it
//! twice before it succeeds.

use super::{Alarm, AlarmCommand, AlarmError, AlarmEvent};
use crate::actor::Actor;
use crate::decider::{Decision, no_change};
use crate::ids::ItemNo;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the same signature for every aggregate")]
pub(super) fn decide(alarm: &Alarm, command: &AlarmCommand) -> Decision<Alarm> {
    match command {
        AlarmCommand::RaiseRegistration { item_no } => raise_registration(*alarm, *item_no),
        AlarmCommand::RaiseDeletion { item_no } => raise_deletion(*alarm, *item_no),
        AlarmCommand::Withdraw { item_no } => withdraw(*alarm, *item_no),
    }
}

/// Every actor that registers an item raises its alarm; the other commands are the saga's.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the same signature for every aggregate")]
pub(super) fn permits(_alarm: &Alarm, actor: &Actor, command: &AlarmCommand) -> bool {
    match command {
        AlarmCommand::RaiseRegistration { .. } => true,
        AlarmCommand::RaiseDeletion { .. } | AlarmCommand::Withdraw { .. } => {
            actor.acts_for_anyone()
        }
    }
}

fn raise_registration(alarm: Alarm, item_no: ItemNo) -> Decision<Alarm> {
    match alarm {
        Alarm::Silent => Ok(vec![AlarmEvent::Alerted { item_no }]),
        Alarm::Alerted | Alarm::DeleteAlerted => no_change(),
        Alarm::Withdrawn => Err(AlarmError::RegistrationAbandoned),
    }
}

fn raise_deletion(alarm: Alarm, item_no: ItemNo) -> Decision<Alarm> {
    match alarm {
        Alarm::Alerted => Ok(vec![AlarmEvent::DeleteAlerted { item_no }]),
        Alarm::DeleteAlerted => no_change(),
        Alarm::Silent | Alarm::Withdrawn => Err(AlarmError::OutOfOrder),
    }
}

fn withdraw(alarm: Alarm, item_no: ItemNo) -> Decision<Alarm> {
    match alarm {
        Alarm::Alerted => Ok(vec![AlarmEvent::Withdrawn { item_no }]),
        Alarm::Withdrawn => no_change(),
        Alarm::Silent | Alarm::DeleteAlerted => Err(AlarmError::OutOfOrder),
    }
}
