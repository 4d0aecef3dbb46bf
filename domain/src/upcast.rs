//! Old events into today's shape: a chain of pure JSON → JSON steps per event type.
//!
//! A new version of an event comes with one [`UpcastStep`] from the version before; the snapshots of all
//! versions stay in the tests for ever. The log itself is never rewritten.

use serde_json::Value;

/// One step of one event type, from a version to the next.
#[derive(Debug, Clone, Copy)]
pub struct UpcastStep {
    /// The wire name it belongs to (`ItemRegistered`).
    pub event_type: &'static str,
    /// The version it starts from; it leads to the one after.
    pub from: u32,
    /// The whole payload in, the whole payload out: `{"ItemRegistered": {…}}`.
    pub apply: fn(Value) -> Value,
}

/// The steps of this program. None is needed yet: every event is in its first version.
pub const STEPS: &[UpcastStep] = &[];

/// The version that an event type has come to: the first, and one more for each step.
pub fn current_version(steps: &[UpcastStep], event_type: &str) -> u32 {
    steps
        .iter()
        .filter(|step| step.event_type == event_type)
        .map(|step| step.from.saturating_add(1))
        .max()
        .unwrap_or(1)
}

/// The payload of `version` in today's shape.
pub fn upcast(steps: &[UpcastStep], event_type: &str, version: u32, payload: Value) -> Value {
    let mut chain: Vec<&UpcastStep> =
        steps.iter().filter(|step| step.event_type == event_type && step.from >= version).collect();
    chain.sort_by_key(|step| step.from);
    chain.into_iter().fold(payload, |payload, step| (step.apply)(payload))
}
