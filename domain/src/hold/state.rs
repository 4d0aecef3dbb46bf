//! Whether the hold was refused, folded from its events; no rules here.

use super::HoldEvent;
use serde::{Deserialize, Serialize};

/// The refused hold of one reservation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    reason: Option<String>,
}

impl Hold {
    pub(super) fn evolve(&mut self, event: HoldEvent) {
        match event {
            HoldEvent::Refused { reason, .. } => self.reason = Some(reason),
        }
    }

    /// The code it was refused with, if it was.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    pub(super) const fn is_known(&self) -> bool {
        self.reason.is_some()
    }
}
