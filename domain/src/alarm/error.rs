//! Why an alarm's command changes nothing.

use crate::decider::Refusal;

/// A refusal of an item's alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AlarmError {
    /// The number's registration was abandoned and its alarm withdrawn.
    #[error("this registration was abandoned; register the item again under a new number")]
    RegistrationAbandoned,
    /// The alarm can't be where this command finds it.
    #[error("this doesn't fit the alarm's history and needs manual action by an operator")]
    OutOfOrder,
}

impl Refusal for AlarmError {
    fn code(&self) -> &'static str {
        match self {
            Self::RegistrationAbandoned => "registration-abandoned",
            Self::OutOfOrder => "impossible",
        }
    }
}
