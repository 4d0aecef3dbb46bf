//! The one decision of a refused hold: the first refusal stays.

use super::{Hold, HoldCommand, HoldEvent};
use crate::actor::Actor;
use crate::decider::{Decision, no_change};

pub(super) fn decide(hold: &Hold, command: &HoldCommand) -> Decision<Hold> {
    match command {
        HoldCommand::Refuse { .. } if hold.is_known() => no_change(),
        HoldCommand::Refuse { reservation_no, item_no, reason } => Ok(vec![HoldEvent::Refused {
            reservation_no: *reservation_no,
            item_no: *item_no,
            reason: reason.clone(),
        }]),
    }
}

pub(super) fn permits(_hold: &Hold, actor: &Actor, _command: &HoldCommand) -> bool {
    actor.acts_for_anyone()
}
