//! The one decision of a refused hold: the first refusal stands.

use super::{Hold, HoldCommand, HoldEvent};
use crate::actor::Actor;

pub(super) fn decide(hold: &Hold, command: &HoldCommand) -> Vec<HoldEvent> {
    match command {
        HoldCommand::Refuse { reservation_no, item_no, reason } => {
            if hold.is_known() {
                vec![]
            } else {
                vec![HoldEvent::Refused {
                    reservation_no: *reservation_no,
                    item_no: *item_no,
                    reason: reason.clone(),
                }]
            }
        }
    }
}

pub(super) fn permits(_hold: &Hold, actor: &Actor, _command: &HoldCommand) -> bool {
    actor.acts_for_anyone()
}
