//! Inspection, for people and tools: traces, states at a position, following the log, the state of loops,
//! parked keys, open sagas, and the checks of a stored log against this program. Only pausing a view, and retrying or
//! dropping a parked key, write to the database.

pub(crate) mod compatibility_check;
pub(crate) mod event_view;
pub(crate) mod fold_check;
pub(crate) mod follower;
pub(crate) mod log_page;
pub(crate) mod loop_status;
pub(crate) mod parked;
pub(crate) mod reaction_check;
pub(crate) mod sagas;
pub(crate) mod state_at;
pub(crate) mod trace;
