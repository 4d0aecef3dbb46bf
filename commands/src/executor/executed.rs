//! What a command did.

use gdmarket_domain::Decider;
use std::sync::Arc;

/// What a command did, or had done when it came the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// The number of the aggregate.
    pub number: i64,
    /// The version of the stream after the command.
    pub version: i64,
    /// The sequence of the first event; 0 without events.
    pub first_sequence: i64,
    /// How many events; 0 when the aggregate was already in the requested state.
    pub count: i64,
    /// The position of the last event in the log; 0 without events.
    pub position: i64,
    /// Whether this is the answer of an earlier, equal request.
    pub replayed: bool,
}

/// What a command did, with its events and the aggregate. After a replay there are no events here; the
/// log has them.
pub(crate) struct Execution<A: Decider> {
    pub(crate) executed: Executed,
    pub(crate) events: Vec<A::Event>,
    /// The state with the command's events applied, or as it is found now.
    pub(crate) state: Arc<A>,
}
