//! Nothing is refused here: that a hold was refused is always written down.

use crate::decider::Refusal;

/// Why a hold's command changes nothing: there is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HoldError {}

impl Refusal for HoldError {
    fn code(&self) -> &'static str {
        match *self {}
    }
}
