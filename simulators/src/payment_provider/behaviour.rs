//! How the provider behaves: its latency, and the fault that some of its calls meet.

use crate::latency::random_latency;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How the provider behaves. It is set at the start and by `PUT /behaviour`; a field that is left out has its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProviderBehaviour {
    /// The delay of a call in milliseconds; it takes effect in the middle.
    pub delay_ms: u64,
    /// The maximum of the random additional delay in milliseconds.
    pub jitter_ms: u64,
    /// The fault of the calls that meet one.
    pub fault: ProviderFault,
    /// The operations that may meet the fault.
    pub operations: Vec<ProviderOperation>,
    /// The share of their calls that meets it, 0 to 1.
    pub rate: f64,
    /// The number of calls after which no call meets it any more; without it there is no such number.
    pub times: Option<u64>,
    /// How long an answer takes that is late, in milliseconds.
    pub late_ms: u64,
}

/// An operation of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderOperation {
    /// Takes money.
    Confirm,
    /// Gives it back.
    Cancel,
    /// Reports what was taken and given back.
    Find,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderFault {
    /// Nothing.
    #[default]
    None,
    /// The connection is closed without an answer; nothing was done.
    DropBefore,
    /// The connection is closed without an answer, after the effect.
    DropAfter,
    /// The connection is reset; nothing was done.
    ResetBefore,
    /// The connection is reset after the effect.
    ResetAfter,
    /// The answer is 500; nothing was done.
    ErrorBefore,
    /// The answer is 500, after the effect.
    ErrorAfter,
    /// The answer comes long after the effect.
    Late,
    /// No answer comes, the connection stays open, and nothing is done.
    Hang,
    /// The answer names another amount than the one that was charged or given back.
    WrongAmount,
    /// The answer names another order.
    WrongOrder,
    /// The answer names another payment.
    WrongPayment,
    /// The answer is a page for people instead of JSON.
    NotJson,
    /// The answer ends in the middle.
    Truncated,
    /// The answer is JSON of many megabytes.
    Huge,
    /// The call is declined for good, with the provider's reason.
    Decline,
    /// The call is refused as faulty, with a status of 400.
    Refuse,
}

impl Default for ProviderBehaviour {
    fn default() -> Self {
        Self {
            delay_ms: 0,
            jitter_ms: 0,
            fault: ProviderFault::None,
            operations: vec![ProviderOperation::Confirm, ProviderOperation::Cancel],
            rate: 1.0,
            times: None,
            late_ms: 90_000,
        }
    }
}

/// What one call meets.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlannedCall {
    pub(super) fault: ProviderFault,
    /// The time before the effect, and again after it.
    pub(super) half_delay: Duration,
    /// How long an answer takes that is late.
    pub(super) late: Duration,
}

/// The behaviour, which changes while the provider runs.
pub(super) struct CurrentBehaviour(Mutex<ProviderBehaviour>);

impl CurrentBehaviour {
    pub(super) const fn new(behaviour: ProviderBehaviour) -> Self {
        Self(Mutex::new(behaviour))
    }

    pub(super) fn get(&self) -> ProviderBehaviour {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, behaviour: ProviderBehaviour) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    /// What the next call of this operation meets; it counts as one of `times`.
    pub(super) fn plan(&self, operation: ProviderOperation) -> PlannedCall {
        let mut behaviour = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_met = behaviour.fault != ProviderFault::None
            && behaviour.operations.contains(&operation)
            && behaviour.times != Some(0)
            && rand::random::<f64>() < behaviour.rate;
        if is_met {
            behaviour.times = behaviour.times.map(|times| times.saturating_sub(1));
        }
        PlannedCall {
            fault: if is_met { behaviour.fault } else { ProviderFault::None },
            half_delay: random_latency(behaviour.delay_ms, behaviour.jitter_ms) / 2,
            late: Duration::from_millis(behaviour.late_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_is_met_by_its_operations_and_as_often_as_configured() {
        let json = r#"{"fault": "error-after", "operations": ["cancel"], "times": 2}"#;
        let current = CurrentBehaviour::new(serde_json::from_str(json).unwrap());
        assert_eq!(current.plan(ProviderOperation::Confirm).fault, ProviderFault::None);
        let faults = [(); 3].map(|()| current.plan(ProviderOperation::Cancel).fault);
        let failed = ProviderFault::ErrorAfter;
        assert_eq!(faults, [failed, failed, ProviderFault::None]);
        current.set(ProviderBehaviour { rate: 0.0, ..current.get() });
        assert_eq!(current.plan(ProviderOperation::Cancel).fault, ProviderFault::None);
    }

    #[test]
    fn misspelt_behaviour_is_refused() {
        for json in [r#"{"delay": 5}"#, r#"{"fault": "sleep"}"#] {
            assert!(serde_json::from_str::<ProviderBehaviour>(json).is_err(), "{json}");
        }
    }
}
