//! The state of an item's alarm, folded from its events; no rules here.

use super::AlarmEvent;
use serde::{Deserialize, Serialize};

/// The alarm of one item.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alarm {
    /// Never raised.
    #[default]
    Silent,
    /// The registration was announced.
    Alerted,
    /// The deletion was announced.
    DeleteAlerted,
    /// The registration never came.
    Withdrawn,
}

impl Alarm {
    #[expect(clippy::needless_pass_by_value, reason = "the same signature for every aggregate")]
    pub(super) fn evolve(&mut self, event: AlarmEvent) {
        *self = match event {
            AlarmEvent::Alerted { .. } => Self::Alerted,
            AlarmEvent::DeleteAlerted { .. } => Self::DeleteAlerted,
            AlarmEvent::Withdrawn { .. } => Self::Withdrawn,
        };
    }

    pub(super) const fn is_known(self) -> bool {
        match self {
            Self::Silent => false,
            Self::Alerted | Self::DeleteAlerted | Self::Withdrawn => true,
        }
    }
}
