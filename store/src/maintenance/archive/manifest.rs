//! The last line of an archive, which describes the lines before it. A reader makes its own manifest from the lines
//! that it read and compares, so that no byte of this line is trusted either.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Counts, first and last position, and the hash chain over all lines before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// The log that was exported.
    pub log_id: Uuid,
    /// Its epoch.
    pub epoch: i64,
    /// How many events.
    pub events: u64,
    /// The position of the first event, 0 without any.
    pub first_position: i64,
    /// The position of the last event, 0 without any.
    pub last_position: i64,
    /// How many receipts.
    pub receipts: u64,
    /// How many kinds of numbers.
    pub numbers: u64,
    /// How many deadlines.
    pub deadlines: u64,
    /// How many checkpoints.
    pub checkpoints: u64,
    /// How many parked keys.
    pub parked: u64,
    /// How many events that queue behind parked keys.
    pub waiting: u64,
    /// How many events were dropped.
    pub dropped: u64,
    /// How many records that are written once; archives of version 1 have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub books: Option<u64>,
    /// How many persons.
    pub persons: u64,
    /// How many streams with their persons and names; archives of version 1 have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<u64>,
    /// The hash chain over all lines before this one, in hexadecimal.
    pub chain: String,
}
